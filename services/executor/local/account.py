"""What came of it all: how many of each state, and the exit code. Pure."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from services.executor.checks.base import Said
from shared.model.results import Cause, CheckState


@dataclass(frozen=True, slots=True)
class Account:
    """`untold` are checks that said nothing of the patch, because something on this machine is missing or broke."""

    success: int = 0
    pending: int = 0
    warning: int = 0
    fail: int = 0
    untold: int = 0

    @property
    def exit_code(self) -> int:
        """1 if something failed, else 2 if something could not be told, else 0, warnings or not."""
        return 1 if self.fail else 2 if self.untold else 0


def account(answers: Iterable[Said]) -> Account:
    counts = Counter("untold" if said.cause is Cause.INFRA else said.state.value for said in answers)
    return Account(**{word: counts[word] for word in (*CheckState, "untold")})


def sentence(one: Account, seconds: float) -> str:
    """``3 success, 1 warning; 2 could not be told`` and the time."""
    told = [f"{number} {word}" for word, number in (
        ("failed", one.fail), ("warnings" if one.warning != 1 else "warning", one.warning),
        ("pending", one.pending), ("success", one.success),
    ) if number]  # fmt: skip
    untold = f"; {one.untold} could not be told" if one.untold else ""
    return f"{', '.join(told) or 'nothing was asked'}{untold} ({seconds:.1f} s)"
