"""The main job on real input: the kernel's source, real servers, the rooms as compose.yaml has them. See __main__."""
