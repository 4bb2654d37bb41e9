"""Verdicts as checks on Patchwork."""

from services.report.channels.patchwork.adapter import PatchworkChannel

__all__ = ["PatchworkChannel"]
