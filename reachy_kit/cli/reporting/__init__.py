"""How a command ends: its streams, and errors in words."""
