"""Formats: how the change of one tensor is stored and applied, one file each. They know blocks and tensors only."""
