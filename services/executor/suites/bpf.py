"""The BPF selftests' test_progs: its tests one by one, with their subtests.

Answers for test_progs and its flavours (``test_progs-no_alu32``). Each test is a run of the program, so that one that
crashes takes no other with it. What it prints names every test and subtest with its outcome; the JSON of
``--json-summary``, of kernels that have it, names those that failed with what they said, and has counts that are
compared with the text.
"""

import fnmatch
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import PurePosixPath
from typing import ClassVar, Literal

from pydantic import BaseModel, Field, field_validator

from services.executor.drivers.base import MIB, Command, shell
from services.executor.suites.base import Invocation, Place, Spoken, Step, Table, inside
from shared.formats import ktap, test_progs
from shared.formats.clean import cut
from shared.formats.ktap_report import unique
from shared.formats.selftests import dashed
from shared.formats.test_progs import Told
from shared.model.results import Case, Cause, Result
from shared.settings import Duration

MOST_TESTS = 5000


class BpfConfig(Table):
    """``suite = { kind = "bpf", folder = "/opt/bpf" }``

    `folder` holds the built programs: absolute and on the host, or in the branch's tree, where `build` makes them.
    `tests` and `skip` are globs on a test's name.
    """

    kind: Literal["bpf"] = "bpf"
    folder: PurePosixPath = PurePosixPath("tools/testing/selftests/bpf")
    checkout: tuple[str, ...] = ()
    build: str = "make -C tools/testing/selftests/bpf"
    build_limit: Duration = timedelta(hours=1)
    programs: tuple[str, ...] = Field(default=("test_progs",), min_length=1)
    tests: tuple[str, ...] = ("*",)
    skip: tuple[str, ...] = ()
    time_limit: Duration = timedelta(minutes=5)
    slow: float = Field(default=1.0, ge=1.0, le=100.0)
    env: Mapping[str, str] = Field(default_factory=dict)

    @field_validator("folder")
    @classmethod
    def _somewhere(cls, folder: PurePosixPath) -> PurePosixPath:
        if not folder.is_absolute() and not inside(str(folder)):
            raise ValueError(f"{str(folder)!r} is neither a path inside the tree nor an absolute one on the host")
        return folder

    @field_validator("checkout", "programs")
    @classmethod
    def _inside(cls, paths: tuple[str, ...]) -> tuple[str, ...]:
        if wrong := [path for path in paths if not inside(path)]:
            raise ValueError(f"{wrong[0]!r} is not a path inside the tree")
        return paths


_LIST = """
cd "$1" || exit 1
shift
for program; do
    tests=$("./$program" -l) || { echo "$program cannot list its tests" >&2; exit 1; }
    printf '%s\n' "$tests" | sed "s|^|$program |"
done
"""

# The log on standard output, the JSON alone on standard error: no test can write into it.
_RUN = """
json=$3
rm -f "$json"
if "./$1" --help 2>/dev/null </dev/null | grep -q json-summary; then
    "./$1" -a "$2" --json-summary "$json" 2>&1
else
    "./$1" -a "$2" 2>&1
fi
code=$?
[ ! -s "$json" ] || cat "$json" >&2
exit "$code"
"""

_OWN_CODES = {
    2: "exit=2: nothing is called so, though it was listed",
    3: "exit=3: it could not set itself up, or find back between tests",
}
"""Exit codes of test_progs that say nothing of a test."""


class Bpf:
    """See `base.Suite`."""

    name: ClassVar[str] = "bpf"
    Config: ClassVar[type[BaseModel]] = BpfConfig

    def __init__(self, config: BpfConfig) -> None:
        self._config = config

    def paths(self) -> tuple[str, ...] | None:
        return None if self._config.folder.is_absolute() else self._config.checkout

    def groups(self) -> tuple[str, ...]:
        return tuple(_group(program) for program in self._config.programs)

    def prepare(self, place: Place) -> tuple[Step, ...]:
        config = self._config
        make = Step("results", Command(("mkdir", "-p", str(place.results))), timedelta(minutes=1))
        if config.folder.is_absolute() or not config.build:
            return (make,)
        command = shell(config.build, env=config.env, cwd=place.tree, merge=True)
        return (Step("build", command, config.build_limit), make)

    def listing(self, place: Place) -> Command | None:
        return shell(_LIST, str(self._root(place)), *self._config.programs, env=self._config.env, cap=MIB)

    def _root(self, place: Place) -> PurePosixPath:
        return place.tree / self._config.folder

    def invocations(self, listing: str, place: Place) -> tuple[Invocation, ...]:
        seen: dict[str, dict[str, int]] = {}
        limit = self._config.time_limit * self._config.slow
        found = []
        for program, test in dict.fromkeys(self._listed(listing)):
            group = _group(program)
            name = unique(dashed(test), seen.setdefault(group, {}))
            found.append(Invocation(group, name, self._run(program, test, place), limit, f"{program} {test}"))
        return tuple(found[:MOST_TESTS])

    def _listed(self, listing: str) -> Iterator[tuple[str, str]]:
        for line in listing.splitlines():
            program, _, test = line.partition(" ")
            plainly = re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.:-]*", test)
            if program in self._config.programs and plainly and self._takes(test):
                yield program, test

    def _takes(self, test: str) -> bool:
        return _any(self._config.tests, test) and not _any(self._config.skip, test)

    def _run(self, program: str, test: str, place: Place) -> Command:
        json = place.results / f"{dashed(program)}-{dashed(test)}.json"
        slow = {"KSFT_MACHINE_SLOW": "yes"} if self._config.slow > 1 else {}
        env = slow | dict(self._config.env)
        return shell(_RUN, program, test, str(json), env=env, cwd=self._root(place))

    def read(self, invocation: Invocation, spoken: Spoken) -> tuple[Case, ...]:
        told = test_progs.read(spoken.stdout.decode(errors="replace"), spoken.stderr)
        first, *_ = ktap.to_cases(
            "", group=invocation.group, test=invocation.test, exit_code=_code(spoken.exit_code),
            timed_out=spoken.timed_out, seconds=spoken.seconds, attempt=spoken.attempt, log=spoken.log,
        )  # fmt: skip
        if spoken.exit_code in _OWN_CODES:
            first = replace(first, result=Result.ERROR, cause=Cause.TEST, detail=_OWN_CODES[spoken.exit_code])
        name = invocation.program.partition(" ")[2]
        below = tuple(_subtests(first, name, told))
        return (_judged(first, told.results.get(name), below, told.fault), *below)


def _group(program: str) -> str:
    return f"bpf-{dashed(program)}"


def _code(code: int | None) -> int | None:
    """4 is the kernel's word for a skip, not this program's."""
    return 1 if code == 4 else code


def _subtests(test: Case, name: str, told: Told) -> Iterator[Case]:
    seen: dict[str, int] = {}
    for path, result in told.results.items():
        of, slash, subtest = path.partition("/")
        if of == name and slash and subtest:
            why = told.why.get(path, "") if result.bad else ""
            subtest = unique(subtest, seen)
            yield Case(test.group, test.test, result, subtest, attempt=test.attempt, detail=why, log=test.log)


def _judged(first: Case, said: Result | None, below: tuple[Case, ...], fault: str) -> Case:
    """One skipped subtest does not make a test a skip; and no word of the program makes a failure a pass."""
    if first.result is not Result.PASS:
        bad = next((case for case in below if case.result.bad), None)
        if bad and first.cause is None:
            return replace(first, detail=cut(f"subtest {bad.subtest}: {bad.detail or first.detail}", 1000))
        return first
    if bad := next((case for case in below if case.result.bad), None):
        return replace(first, result=Result.FAIL, detail=f"subtest {bad.subtest}, though the program ended with 0")
    if said is Result.FAIL:
        return replace(first, result=Result.FAIL, detail="says FAIL, though the program ended with 0")
    if said is None or fault:
        return replace(first, result=Result.ERROR, cause=Cause.TEST, detail=fault or "the program gave no result")
    skipped = all(case.result is Result.SKIP for case in below) if below else said is Result.SKIP
    return replace(first, result=Result.SKIP, detail="skipped") if skipped else first


def _any(globs: tuple[str, ...], name: str) -> bool:
    return any(fnmatch.fnmatchcase(name, glob) for glob in globs)
