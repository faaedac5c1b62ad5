"""Evaluations as tables, plots and pages."""
