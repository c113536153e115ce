"""The folder of a run: paths, readers and writers of its files."""
