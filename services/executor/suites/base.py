"""What a suite is: which files it needs, how it is built and listed, what is run and how the output is read.

Answers with commands and limits; whoever runs them (attempt.py) brings a host. Refuses to run anything, so
that a suite is tested with strings alone.
"""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import PurePosixPath
from typing import ClassVar, Protocol

from pydantic import BaseModel

from services.executor.drivers.base import Command
from shared.model.results import Case


@dataclass(frozen=True, slots=True)
class Place:
    """Where a run stands: its folder on the host (absolute), and the branch it tests.

    `commit` is the branch's head, `base` the commit before any series, `branch` its name.
    """

    work: PurePosixPath
    commit: str
    branch: str = ""
    base: str = ""

    @property
    def tree(self) -> PurePosixPath:
        """The checkout, if the suite wants one."""
        return self.work / "tree"

    @property
    def results(self) -> PurePosixPath:
        """Where a script may leave files."""
        return self.work / "results"


@dataclass(frozen=True, slots=True)
class Step:
    """One command that must end with 0 before anything is tested; `name` is the test shown when it does not.

    `check` is asked first: if it fails, the host cannot do the step whatever the patch is, and says on standard
    error what it lacks.
    """

    name: str
    command: Command
    time_limit: timedelta
    check: Command | None = None


@dataclass(frozen=True, slots=True)
class Invocation:
    """One test to run. `group` and `test` name it for good; `program` is what the host calls it."""

    group: str
    test: str
    command: Command
    time_limit: timedelta
    program: str = ""

    @property
    def key(self) -> tuple[str, str]:
        return (self.group, self.test)


@dataclass(frozen=True, slots=True)
class Spoken:
    """What an invocation said and how it ended. `exit_code` is None when the time limit ended it.

    `log` is the name of the saved output in the run's pack, `attempt` 0 for the first try.
    """

    stdout: bytes
    stderr: bytes
    exit_code: int | None
    timed_out: bool
    seconds: float
    attempt: int
    log: str


class Suite(Protocol):
    """One kind of tests. Everything but the configuration is pure."""

    name: ClassVar[str]
    Config: ClassVar[type[BaseModel]]

    def paths(self) -> tuple[str, ...] | None:
        """The parts of the commit's tree to hand to the host: () is all of it, None is none at all."""

    def groups(self) -> tuple[str, ...]:
        """The groups of this suite's tests; a step that fails is shown in each."""

    def prepare(self, place: Place) -> tuple[Step, ...]:
        """What to run once on each host, in order."""

    def listing(self, place: Place) -> Command | None:
        """What to run to learn the tests; None if they are known."""

    def invocations(self, listing: str, place: Place) -> tuple[Invocation, ...]:
        """The tests, from what `listing` said; in the suite's own order, no two with one key."""

    def read(self, invocation: Invocation, spoken: Spoken) -> tuple[Case, ...]:
        """The test's case and its subtests'. Never raises, whatever was said."""
