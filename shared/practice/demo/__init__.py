"""The demo: practice servers, a real netci, series arriving, two branches, verdicts."""

from shared.practice.demo.play import demo

__all__ = ["demo"]
