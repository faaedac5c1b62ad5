"""The light half of every task: what the robot's own computer may read. The heavy half is in the simulator."""
