"""The order of things: what the command line and Python users call."""
