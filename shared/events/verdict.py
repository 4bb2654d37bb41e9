"""What report concluded."""

from typing import ClassVar

from shared.events.base import Event
from shared.model.results import CheckState


class VerdictChanged(Event):
    """The verdict of a series, or of one patch of it, in one context differs from the last."""

    kind: ClassVar[str] = "verdict.changed"

    series: int
    context: str
    state: CheckState
    settled: bool
    before: str = ""
    cut: int | None = None
    patch: int | None = None

    def subject(self) -> str:
        return f"series/{self.series}"
