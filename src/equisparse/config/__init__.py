"""Configurations: frozen, typed, flat; read from YAML, the command line or Python."""
