"""The field's vocabulary as frozen values. Standard library only: everything may import it, it imports nothing."""
