"""Robustness of a fine-tuned model: drift from the base, short distances, compression, molecular dynamics."""
