"""TD3 on a residual over a frozen policy."""
