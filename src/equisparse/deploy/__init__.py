"""Deployment: ASE calculators, upstream checkpoints, and the check that they agree."""
