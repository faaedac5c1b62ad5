"""Episodes in batches of environments."""
