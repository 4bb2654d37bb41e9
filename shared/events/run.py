"""What happens to runs and checks. Staged by the ledger only."""

from typing import ClassVar

from pydantic import AwareDatetime, Field

from shared.events.base import Event
from shared.model.results import CheckState


class _OfRun(Event):
    run: int
    remote: str
    executor: str
    stream: str = ""
    branch: str = ""
    cut: int | None = None
    series: int | None = None

    def subject(self) -> str:
        return f"run/{self.run}"

    def correlation(self) -> str:
        return f"branch/{self.branch}" if self.branch else f"series/{self.series}"


class RunStarted(_OfRun):
    """A run opened; it should end by `expected_end`."""

    kind: ClassVar[str] = "run.started"

    planned: int = 0
    expected_end: AwareDatetime | None = None


class RunProgress(_OfRun):
    """Cases came in. At most once a second and run."""

    kind: ClassVar[str] = "run.progress"

    done: int
    planned: int = 0


class RunDone(_OfRun):
    """A run ended, exactly once. `state` is done or abandoned; `counts` are of final test results."""

    kind: ClassVar[str] = "run.done"

    state: str
    cause: str = ""
    reason: str = ""
    counts: dict[str, int] = Field(default_factory=dict)


class CheckDone(Event):
    """One check of one patch, or of a whole series (`patch` is None), is settled."""

    kind: ClassVar[str] = "check.done"

    series: int
    revision: int
    patch: int | None = None
    context: str
    state: CheckState

    def subject(self) -> str:
        return f"series/{self.series}"
