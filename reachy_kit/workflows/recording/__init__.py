"""A person with a device: demonstrations into a dataset, and driving without recording."""
