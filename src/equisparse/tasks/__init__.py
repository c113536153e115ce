"""One file per verb: what the command line and Python users call."""
