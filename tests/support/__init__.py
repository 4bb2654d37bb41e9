"""Real parts for tests: servers started by hand on loopback, ended by pid."""
