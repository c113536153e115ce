"""Sections of the report of one run: each a function from a run to a piece of HTML, or None without data."""
