"""How remotes fare: who is late, who is silent, and whose owner is to be told."""
