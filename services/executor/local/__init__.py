"""`netci check`: the engine of checks on a developer's clone, without a server."""
