"""Backbones: one thin adapter per upstream package."""
