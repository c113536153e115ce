"""Methods: rules how path weights may change, one file each."""
