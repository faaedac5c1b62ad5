"""TD3 on the bounded correction of a frozen policy."""
