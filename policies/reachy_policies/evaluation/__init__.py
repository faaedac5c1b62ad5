"""Evaluation: the same initial states for every policy, intervals with every number, pairs compared as pairs."""
