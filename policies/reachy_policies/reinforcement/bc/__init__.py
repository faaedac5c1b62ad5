"""Further imitation of the expert, or of the policy's own successes, as a baseline of reinforcement learning."""
