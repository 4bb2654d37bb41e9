"""Where a run's results go. The core knows this Protocol; the ledger is one body, a lab's spool another."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from services.executor.endings import Ending
from services.executor.resume import History
from services.executor.schedule import Task
from services.executor.suites.attempt import Attempt
from shared.model.results import Case


class Sink(Protocol):
    """Every method raises `Superseded` once somebody else owns the run; then nothing more is written.

    A body that cannot write just now waits and tries again: what a test said on a machine is not thrown away
    because a database restarts.
    """

    async def stands(self) -> History:
        """What former owners of the run have left, and how long its tests take."""

    async def planned(self, tests: int, expected_end: datetime) -> None:
        """So many tests will run, until about then."""

    async def began(self, task: Task, host: str) -> None:
        """Durably, before the test starts: if we die now, the next owner knows what was interrupted."""

    async def ended(self, attempt: Attempt, host: str, expected_end: datetime) -> None:
        """An attempt's cases and files, and when the run should now end."""

    async def not_run(self, cases: Sequence[Case]) -> None:
        """Tests that will not run, each with its reason."""

    async def host(self, address: str, state: str, reason: str) -> None:
        """A host is busy, idle or broken."""

    async def end(self, ending: Ending) -> None:
        """Put the logs together, close the run and settle its order: all of it, or nothing."""
