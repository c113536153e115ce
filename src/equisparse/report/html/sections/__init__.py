"""Sections of the report of one run: each is a function from a run to HTML, or to None without data."""
