"""``reachy-kit train``: its commands."""
