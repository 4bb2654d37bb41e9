"""A world to practise on: Patchwork, a git tree, SSH hosts, all on loopback. Imported by no room."""
