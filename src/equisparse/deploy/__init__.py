"""Deployment: ASE calculators, native checkpoints, and the proof that they agree."""
