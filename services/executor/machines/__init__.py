"""Real machines: what is remembered of each from one lease to the next."""
