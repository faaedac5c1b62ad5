"""The light half of every task, which the robot's own computer loads. The heavy half is in the simulator."""
