"""Chunked PPO."""
