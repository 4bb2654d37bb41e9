"""Checks that are scripts in a folder, with the contract that NIPA's checks have: what is around them."""
