"""The robot on a table: whether its motions tip it or make it walk, and whether its parts touch each other."""
