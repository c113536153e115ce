"""Configuration of a fine-tune: flat, frozen and typed; from YAML, the command line or Python."""
