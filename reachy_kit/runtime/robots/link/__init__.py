"""The link to a robot's daemon: one driver at a time, limited commands, and what happens while nothing arrives."""
