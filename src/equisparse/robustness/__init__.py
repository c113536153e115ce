"""What a fine-tune forgot and where it breaks: drift from the base, short distances, compression, dynamics."""
