"""Tasks: one function per verb, in a module of its own, for the command line and for Python users."""
