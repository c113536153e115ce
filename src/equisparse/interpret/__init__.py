"""Interpretation: which weights an adapter changes, as plain tables."""
