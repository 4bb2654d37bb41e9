"""branch owns git: it fetches trees, settles and applies series, cuts and publishes test branches, and prunes them."""
