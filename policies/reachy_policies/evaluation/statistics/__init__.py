"""Statistics of evaluations: intervals over episodes, comparisons over training seeds."""
