"""What the robot's own computer gets: it never loads torch, LeRobot, MuJoCo or Gymnasium."""
