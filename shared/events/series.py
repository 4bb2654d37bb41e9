"""What happens to a series before any branch: it arrives, changes, is applied or refused."""

from typing import ClassVar

from shared.events.base import Event


class _OfSeries(Event):
    series: int
    revision: int
    message_id: str

    def subject(self) -> str:
        return f"series/{self.series}"


class SeriesArrived(_OfSeries):
    """A series is complete. Comes again with a higher `revision` if it grows."""

    kind: ClassVar[str] = "series.arrived"

    title: str
    author: str
    patches: int
    version: int = 1
    trees: tuple[str, ...] = ()
    pull: bool = False


class SeriesChanged(_OfSeries):
    """A series' state or delegate changed: superseded, withdrawn, given up as incomplete, active again."""

    kind: ClassVar[str] = "series.changed"

    state: str
    reason: str
    superseded_by: int | None = None


class SeriesApplied(_OfSeries):
    """A series applied to a tree and its ref can be fetched."""

    kind: ClassVar[str] = "series.applied"

    tree: str
    base: str
    head: str
    ref: str
    public_url: str = ""
    reason: str = ""


class SeriesRefused(_OfSeries):
    """A series applies to none of its candidate trees, or may not be touched at all."""

    kind: ClassVar[str] = "series.refused"

    reason: str
    tree: str = ""
    patch_number: int | None = None
