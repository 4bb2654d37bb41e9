"""Documents and logs by the sha256 of their bytes."""
