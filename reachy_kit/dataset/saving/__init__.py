"""Saving episodes into a LeRobot v3 dataset: state, files of an episode, videos, and the joining of small files."""
