"""Recorded demonstrations as tensors: whole datasets, windows, frames and images."""
