"""Content of the episodes taken together: where they lead, what repeats, what was marked and sensed."""
