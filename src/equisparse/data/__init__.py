"""Labelled structures: read, audit and split them, and fit their reference energies; no model and no torch."""
