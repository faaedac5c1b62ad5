"""Trainings from a dataset or in the simulator, to a run on disk."""
