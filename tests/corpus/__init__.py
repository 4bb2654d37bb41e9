"""Patches made by hand, with the answers that they must get. README.md says how one is added."""
