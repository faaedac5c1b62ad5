"""Reinforcement learning in the simulator: chunked PPO from an imitation, and the methods that it is compared with."""
