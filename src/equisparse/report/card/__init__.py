"""Cards of adapters: a README.md with a YAML header, as the Hugging Face Hub reads it."""
