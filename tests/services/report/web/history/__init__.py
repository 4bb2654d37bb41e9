"""Pages of histories."""
