"""Kernel builds for checks: recipes, configurations, object folders in layers, warnings as sets."""
