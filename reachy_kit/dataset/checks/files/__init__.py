"""Files of a dataset against its metadata, and metadata against the frames."""
