"""Evaluation: the same initial states for every policy, an interval for every number, and paired comparisons."""
