"""Known issues."""
