"""Reports: evaluations and comparisons as tables, plots, JSON and pages."""
