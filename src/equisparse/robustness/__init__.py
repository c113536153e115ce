"""What a fine-tune does outside of its data: drift from the base, holes at short range, runs of molecular dynamics."""
