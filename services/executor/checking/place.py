"""Where checks of one project run on this machine: its commits, its folders, its hands."""

import asyncio
import os
import shutil
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path

from services.executor.cage.base import Isolation
from services.executor.cage.inside import search_path
from services.executor.checking.judge import Judges
from services.executor.checking.scratch import Scratch
from services.executor.checking.seat import Seat
from services.executor.checking.seats import Seats
from services.executor.checks.base import Builder
from shared.git.store import Store
from shared.settings import Checks

MakeBuilder = Callable[["Place", Seat, Path], AbstractAsyncContextManager[Builder]]
"""Makes the builder of a series, for as long as it is looked at: from the place, the seat, settled on the series' base,
that its commits are moved through, and the folder of the judge.
"""


@dataclass(frozen=True)
class Place:
    """`store` has the commits. `folder` is the project's own, and may be deleted at any time while nobody works.

    `hands` bounds how many commands run at one time, `building` how many series are built; both are shared by all
    places of the machine.
    """

    store: Store
    folder: Path
    isolation: Isolation
    settings: Checks
    hands: asyncio.Semaphore
    building: asyncio.Semaphore
    seats: Seats
    judges: Judges
    scratch: Scratch
    make_builder: MakeBuilder | None = None

    @property
    def hands_at_all(self) -> int:
        return hands_of(self.settings)

    def sweep(self) -> None:
        """Remove what dead processes left, and what was not used for long. Blocks for a moment."""
        self.seats.sweep()
        self.judges.sweep()
        self.scratch.sweep()

    def close(self) -> None:
        """Remove what was made for this process alone."""
        self.scratch.close()


@dataclass(frozen=True)
class Machine:
    """What all places of this machine share."""

    isolation: Isolation
    settings: Checks
    hands: asyncio.Semaphore
    building: asyncio.Semaphore

    @classmethod
    def of(cls, isolation: Isolation, settings: Checks) -> "Machine":
        hands, building = asyncio.Semaphore(hands_of(settings)), asyncio.Semaphore(max(1, settings.builds))
        return cls(isolation, settings, hands, building)

    def place(self, store: Store, folder: Path, make_builder: MakeBuilder | None = None) -> Place:
        """A place for the commits of `store`, working below `folder`."""
        return Place(
            store, folder, self.isolation, self.settings, self.hands, self.building,
            Seats(folder / "seats", store), Judges(folder / "judges", store), Scratch(folder / "scratch"), make_builder,
        )  # fmt: skip


def hands_of(settings: Checks) -> int:
    """How many commands run at one time."""
    return settings.hands or len(os.sched_getaffinity(0))


def has_tool(tool: str, settings: Checks) -> bool:
    """Whether a cage of this machine has a program of that name."""
    return shutil.which(tool, path=search_path(settings.path)) is not None
