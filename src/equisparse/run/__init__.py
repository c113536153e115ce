"""The folder of a run: every file in it, written and read."""
