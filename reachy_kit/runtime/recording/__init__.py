"""Episodes made durable."""
