"""Guiding a robot by hand: what a robot offers for it, and how one behind a daemon does it."""
