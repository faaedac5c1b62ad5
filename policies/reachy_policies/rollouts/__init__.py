"""Episodes in batches of environments, through Gymnasium."""
