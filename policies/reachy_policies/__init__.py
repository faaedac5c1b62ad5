"""Learning: imitation, reinforcement learning, evaluation and export. torch and LeRobot are loaded here alone.

Try it: reachy-kit train imitation --dataset data/look_at --out runs/look_at
"""
