"""Inference: frames as graphs with labels, the prediction loop, and errors."""
