"""What the ledger is told and tells: a run about to start, one that may be written to, how one ends."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from shared.events import Visibility
from shared.model.ids import RunId


@dataclass(frozen=True, slots=True)
class Opening:
    """A run about to start: one executor on one branch, or the checks of one series.

    `visibility` is that of the branch, of a try none but its owner's; a `trial` counts for nothing and is told and
    shown to its lab alone. `link` is where the lab shows the run; `started` is when it began by the lab's account.
    """

    project: str
    remote: str
    executor: str
    stream: str = ""
    branch: str = ""
    cut_id: int | None = None
    series_id: int | None = None
    attempt: int = 0
    lease_number: int = 0
    expected_end: datetime | None = None
    planned: int = 0
    kernel_commit: str = ""
    suite_commit: str = ""
    config_digest: str = ""
    toolchain: str = ""
    image: str = ""
    device: Mapping[str, Any] | None = None
    visibility: Visibility = "public"
    trial: bool = False
    link: str = ""
    started: datetime | None = None

    @property
    def shown(self) -> Visibility:
        """A trial is nobody's business, whatever it is on."""
        return "operator" if self.trial else self.visibility


@dataclass(frozen=True, slots=True)
class OpenRun:
    """A run that may be written to, by the holder of `lease_number`. `fresh` is false for one taken over."""

    id: RunId
    day: date
    lease_number: int
    fresh: bool


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run ended. `cause` is "" for one that ran to its end, whatever its tests said; else infra, timeout, …

    `ended` is when that was by the lab's account, now if it says nothing.
    """

    state: str = "done"
    cause: str = ""
    reason: str = ""
    log_pack: str | None = None
    suite_commit: str = ""
    toolchain: str = ""
    artifacts: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    ended: datetime | None = None
