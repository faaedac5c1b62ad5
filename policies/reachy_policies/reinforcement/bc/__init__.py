"""Imitation of more of the expert, or of successes: what reinforcement learning is compared with."""
