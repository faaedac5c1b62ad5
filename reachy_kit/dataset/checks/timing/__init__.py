"""Times of the frames: rate, gaps, clocks, cameras that stand still, and time in which nothing happens."""
