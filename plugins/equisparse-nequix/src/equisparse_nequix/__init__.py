"""Nequix as a backbone of equisparse; `equisparse` finds it by its entry point."""
