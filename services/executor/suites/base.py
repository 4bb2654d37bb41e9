"""What a suite is: which files it needs, how it is built and listed, what is run and how the output is read.

Answers with commands and limits; whoever runs them (attempt.py) brings a host. Refuses to run anything, so
that a suite is tested with strings alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path, PurePosixPath
from typing import ClassVar, Protocol, runtime_checkable

from pydantic import BaseModel, ConfigDict

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
    def base_tree(self) -> PurePosixPath:
        """The checkout of `base`, for suites that compare."""
        return self.work / "base"

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


class Table(BaseModel):
    """What every suite's table may say. `expects` names the tests that there should be, `expects_file` is a file of
    such names on the executor's own machine, one a line; those that did not run are shown as such.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    expects: tuple[str, ...] = ()
    expects_file: Path | None = None


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


# What a suite may offer besides; whoever runs it asks by isinstance.


@runtime_checkable
class Compares(Protocol):
    """It runs on the commit before any series too."""

    def base_paths(self) -> tuple[str, ...] | None:
        """The parts of the base's tree to hand to the host, as `Suite.paths`; None if it does not compare after all."""


@runtime_checkable
class Foresees(Protocol):
    """It knows of tests that should be there."""

    def absent(self, listing: str, place: Place) -> tuple[Case, ...]:
        """A case for each that the listing lacks. Pure, and never raises."""


@runtime_checkable
class Configures(Protocol):
    """Its tests want something of the kernel that they run on."""

    def config(self) -> tuple[str, ...]:
        """Fragments of a kernel's configuration, as paths in the tree; one may be missing."""


@runtime_checkable
class Keeps(Protocol):
    """It makes files of what a test said, for whoever reads the logs."""

    def keep(self, invocation: Invocation, spoken: Spoken) -> Mapping[str, bytes]:
        """Files by name, without folders. Pure, and never raises."""


def inside(path: str) -> bool:
    """Whether `path` names something in a tree: relative, without a way out, and no option."""
    return bool(path.strip()) and not path.startswith(("/", "-")) and ".." not in path.split("/")
