"""Training from a dataset or in the simulator; the result is a run on disk."""
