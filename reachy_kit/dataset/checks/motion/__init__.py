"""Motion: what was commanded against what the robot can do, and against what it did."""
