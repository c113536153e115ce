"""Adapters: attach a method to a model, keep the result as a file, merge it."""
