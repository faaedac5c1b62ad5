"""What runs a trained policy: its history of observations, its plans, its ONNX graphs, its bundle."""
