"""A session of takes that a person demonstrates: what its keys do, what its screen shows, and how the takes follow."""
