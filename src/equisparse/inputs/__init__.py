"""Inputs of a user (files, names, objects), converted to frames, bases and adapters."""
