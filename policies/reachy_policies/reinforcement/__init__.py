"""Reinforcement: let a policy that imitates explore, and keep what pays. Chunked PPO from an imitation checkpoint."""
