"""How things are found by name without being loaded."""
