"""Inference: frames as graphs with labels, the one loop that predicts them, and errors."""
