"""Where answers go, one by one. The engine knows this Protocol; the ledger is one body, a terminal another."""

from dataclasses import dataclass
from typing import Protocol

from services.executor.checks.base import Said


@dataclass(frozen=True, slots=True)
class Task:
    """One question: a check, of a patch (its number) or of the series (0)."""

    check: str
    patch: int = 0

    def __str__(self) -> str:
        return f"{self.check} of patch {self.patch}" if self.patch else self.check


class CheckSink(Protocol):
    """Every method raises `Superseded` once the answers are no longer wanted, or another has taken over."""

    async def began(self, task: Task) -> None:
        """It is being asked now."""

    async def described(self, task: Task, text: str) -> None:
        """A preliminary description; may be dropped."""

    async def answered(self, task: Task, said: Said, seconds: float) -> None:
        """Its answer, durably, before the next begins."""

    async def unasked(self, task: Task, why: str) -> None:
        """It will not be asked."""
