"""The series that keep arriving: the practice world's six roles, wave after wave, each from authors of its own."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from shared.practice.tree import PracticeTree
from shared.practice.world_series import POSTED, PracticeSeries, Role, write

STEPS = 10
"""Steps of a wave; each is a round."""

RED = (Role.GOOD, Role.FLAKY, Role.BREAKING, Role.NEW)
MENDED = (Role.GOOD, Role.FLAKY, Role.NEW)


@dataclass(frozen=True, slots=True)
class Wave:
    """Six series, and what two branches of them must come to."""

    number: int
    series: tuple[PracticeSeries, ...]

    def by_role(self, role: Role) -> PracticeSeries:
        return next(one for one in self.series if one.role is role)


def waves(folder: Path, seed: int, rounds: int) -> tuple[PracticeTree, list[Wave]]:
    """The tree, and as many waves as `rounds` steps need."""
    made = [
        write(folder / f"wave{n}", seed, POSTED + timedelta(hours=n), wave=n)
        for n in range(max(1, -(-rounds // STEPS)))
    ]
    return made[0].tree, [Wave(n, world.series) for n, world in enumerate(made)]
