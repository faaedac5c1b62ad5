"""Demonstrations by a person into a dataset: the device, the seeds, the session."""
