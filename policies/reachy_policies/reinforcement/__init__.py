"""Reinforcement learning in the simulator: chunked PPO from an imitation, and the methods it is compared with."""
