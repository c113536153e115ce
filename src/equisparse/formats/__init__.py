"""Formats: how the change of one tensor is stored and applied, one file each; they depend on blocks only."""
