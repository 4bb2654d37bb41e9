"""How events reach rooms. Three buses keep one promise: at least once on the wire, once in the tables."""
