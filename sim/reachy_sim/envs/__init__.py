"""Gymnasium's environments over a batch of simulated robots."""
