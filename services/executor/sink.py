"""Where a run's results go. The core knows this Protocol; the ledger is one body, a lab's spool another."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from services.executor.schedule import Key, Task
from services.executor.suites.attempt import Attempt
from shared.model.results import Case


class Sink(Protocol):
    """Every method raises `Superseded` once somebody else owns the run; then nothing more is written."""

    async def planned(self, tests: int, expected_end: datetime) -> None:
        """So many tests will run, until about then."""

    async def began(self, task: Task, host: str) -> None:
        """Durably, before the test starts: if we die now, the next owner knows what was interrupted."""

    async def ended(self, attempt: Attempt, host: str) -> None:
        """An attempt's cases and files."""

    async def not_run(self, cases: Sequence[Case]) -> None:
        """Tests that will not run, each with its reason."""

    async def host(self, address: str, state: str, reason: str) -> None:
        """A host is busy, idle or broken."""


__all__ = ["Key", "Sink"]
