"""Inference: a policy's history of observations, its plans, its ONNX graphs, its bundle."""
