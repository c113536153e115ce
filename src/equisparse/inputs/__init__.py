"""Inputs of a user, turned into frames, bases and adapters."""
