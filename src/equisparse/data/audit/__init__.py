"""Audit of labelled frames: problems that would spoil a fine-tune, found before it starts."""
