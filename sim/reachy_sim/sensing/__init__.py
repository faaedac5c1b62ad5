"""What the senses yield: late, noisy and patchy, as the robot's own."""
