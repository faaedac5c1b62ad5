"""Driving: which behaviour drives, how one hands over to the next, and how behaviours move."""
