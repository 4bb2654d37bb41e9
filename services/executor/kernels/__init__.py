"""Kernels for machines to boot: given as a file, taken from a distribution's package, or built from a branch."""
