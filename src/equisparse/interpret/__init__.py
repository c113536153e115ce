"""Interpretation of adapters: which weights they change, and what the changes do, as tables."""
