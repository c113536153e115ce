"""Adapters: attach a method to a model, store the result in a file, apply it or merge it."""
