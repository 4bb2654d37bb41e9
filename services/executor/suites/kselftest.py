"""The kernel's selftests: from a bundle that is on the host, or built there from the branch's own tree.

Answers for the layout that ``make -C tools/testing/selftests install`` leaves: a folder per target, a
``kselftest-list.txt`` of ``target:program`` lines, a ``settings`` file per target. Tests are run one by one
in the folder of their target, as the kernel's own runner does, so that each has a limit, a log and a retry of
its own.
"""

import fnmatch
import shlex
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import PurePosixPath
from typing import ClassVar, Literal

from pydantic import BaseModel, Field, field_validator

from services.executor.drivers.base import MIB, Command, shell
from services.executor.suites.base import Invocation, Place, Spoken, Step, Table, inside
from shared.formats import ktap
from shared.formats.selftests import Spelling, group_of
from shared.model.results import Case, Cause, Result
from shared.settings import Duration

SELFTESTS = "tools/testing/selftests"
MOST_TESTS = 5000
"""A listing longer than this is no listing."""


class KselftestConfig(Table):
    """``suite = { kind = "kselftest", targets = ["net"] }``

    With `bundle` (an absolute path on the host) the tests installed there are run and nothing is built.
    Without, the host is handed the branch's tree, or the parts of it in `checkout`, and `build` says how it
    becomes an installation: true is make's ``install``, false runs the scripts where they lie, a string is a
    command run in the tree with INSTALL_PATH and TARGETS set. `tests` and `skip` are globs on ``program`` or
    ``target:program``. `time_limit` holds where a ``settings`` file names none; `longest` caps what such a
    file may ask for; `time_limits` are by glob, the first that fits, and go before both. On a machine that is
    `slow` times slower than others, for its debug kernel or its emulation, every limit is that much longer and
    tests are told so: KSFT_MACHINE_SLOW=yes.
    """

    kind: Literal["kselftest"] = "kselftest"
    targets: tuple[str, ...] = Field(min_length=1)
    bundle: PurePosixPath | None = None
    checkout: tuple[str, ...] = ()
    build: bool | str = True
    build_limit: Duration = timedelta(minutes=30)
    make_vars: Mapping[str, str] = Field(default_factory=dict)
    tests: tuple[str, ...] = ("*",)
    skip: tuple[str, ...] = ()
    time_limit: Duration = timedelta(seconds=45)
    longest: Duration = timedelta(minutes=30)
    time_limits: Mapping[str, Duration] = Field(default_factory=dict)
    slow: float = Field(default=1.0, ge=1.0, le=100.0)
    env: Mapping[str, str] = Field(default_factory=dict)

    @field_validator("targets", "checkout")
    @classmethod
    def _inside(cls, paths: tuple[str, ...]) -> tuple[str, ...]:
        for path in paths:
            if not inside(path):
                raise ValueError(f"{path!r} is not a path inside the tree")
        return paths

    @field_validator("bundle")
    @classmethod
    def _absolute(cls, bundle: PurePosixPath | None) -> PurePosixPath | None:
        if bundle and not bundle.is_absolute():
            raise ValueError(f"bundle = {str(bundle)!r} is not an absolute path on the host")
        return bundle


# The kernel's own install step copies with rsync and says so only after the whole build.
_TOOLS = """
for tool in make $(grep -qsw rsync lib.mk && echo rsync); do
    command -v "$tool" >/dev/null || { echo "$tool is not installed" >&2; exit 1; }
done
"""

# $1: the installation (or the selftests folder), $2: yes if make may be asked, the rest: targets.
_LISTING = """
cd "$1" || exit 1
may_make=$2
shift 2
if [ -f kselftest-list.txt ]; then
    sed 's/^/test /' kselftest-list.txt
else
    for target; do
        [ -d "$target" ] || continue
        if [ "$may_make" = yes ]; then
            make -s --no-print-directory -C "$target" OUTPUT="$PWD/$target" COLLECTION="$target" emit_tests |
                sed 's/^/test /'
        else
            for file in "$target"/*; do
                [ -f "$file" ] && [ -x "$file" ] && echo "test $target:${file##*/}"
            done
        fi
    done
fi
for target; do
    [ -f "$target/settings" ] && sed "s|^|settings $target |" "$target/settings"
done
exit 0
"""

# The runner's own way with a file that lost its executable bit on the road: ask its first line.
_RUN = """
if [ -x "./$1" ]; then exec "./$1"; fi
if [ ! -e "./$1" ]; then echo "netci: $1 is not there"; exit 127; fi
first=$(head -n 1 "./$1" | tr -d '\\0')
case $first in "#!"*) exec ${first#??} "./$1" ;; esac
echo "netci: $1 is not a program"
exit 126
"""


class Kselftest:
    """See `base.Suite`."""

    name: ClassVar[str] = "kselftest"
    Config: ClassVar[type[BaseModel]] = KselftestConfig

    def __init__(self, config: KselftestConfig) -> None:
        self._config = config

    def paths(self) -> tuple[str, ...] | None:
        return None if self._config.bundle else self._config.checkout

    def groups(self) -> tuple[str, ...]:
        return tuple(group_of(target) for target in self._config.targets)

    def config(self) -> tuple[str, ...]:
        return tuple(f"{SELFTESTS}/{target}/config" for target in self._config.targets)

    def prepare(self, place: Place) -> tuple[Step, ...]:
        config = self._config
        if config.bundle or config.build is False:
            return ()
        words = dict(config.make_vars) | {"TARGETS": " ".join(config.targets)}
        command = self._make(place, words) if config.build is True else self._build(str(config.build), place, words)
        check = shell(_TOOLS, cwd=place.tree / SELFTESTS) if config.build is True else None
        return (Step("build", command, config.build_limit, check),)

    def _make(self, place: Place, words: Mapping[str, str]) -> Command:
        # Kernels before 5.1 know only INSTALL_PATH; newer ones take it from KSFT_INSTALL_PATH.
        where = {"INSTALL_PATH": self._root(place), "KSFT_INSTALL_PATH": self._root(place)}
        settings = [f"{key}={value}" for key, value in (dict(words) | where).items()]
        argv = ("make", "-C", str(place.tree / SELFTESTS), "install", *settings)
        return Command(argv, env=self._config.env, cwd=place.tree, merge=True)

    def _build(self, text: str, place: Place, words: Mapping[str, str]) -> Command:
        env = {**words, **self._config.env, "INSTALL_PATH": self._root(place)}
        return shell(text, env=env, cwd=place.tree, merge=True)

    def _root(self, place: Place) -> str:
        """The folder that has a folder per target."""
        if self._config.bundle:
            return str(self._config.bundle)
        return str(place.tree / SELFTESTS if self._config.build is False else place.work / "install")

    def listing(self, place: Place) -> Command | None:
        may_make = "yes" if self._config.build is False and not self._config.bundle else "no"
        return shell(_LISTING, self._root(place), may_make, *self._config.targets, cap=MIB)

    def invocations(self, listing: str, place: Place) -> tuple[Invocation, ...]:
        limits = self._limits(listing)
        spelling = Spelling()
        found = []
        for target, program in self._wanted(listing):
            group, test = spelling.of(target, program)
            limit = self._limit(target, program, limits) * self._config.slow
            found.append(Invocation(group, test, self._run(target, program, place), limit, f"{target}:{program}"))
        return tuple(found[:MOST_TESTS])

    def _limit(self, target: str, program: str, limits: Mapping[str, timedelta]) -> timedelta:
        for glob, limit in self._config.time_limits.items():
            if _any((glob,), target, program):
                return limit
        return limits.get(target, self._config.time_limit)

    def absent(self, listing: str, place: Place) -> tuple[Case, ...]:
        """Targets that list no test at all: make's install goes on without one that does not build."""
        there = {target for target, _ in self._listed(listing)}
        lost = "the target has no tests: it was not built, or there is no such target"
        return tuple(
            Case(group_of(target), "no-tests", Result.ERROR, cause=Cause.TEST, detail=lost)
            for target in dict.fromkeys(self._config.targets) if target not in there
        )  # fmt: skip

    def _wanted(self, listing: str) -> Iterator[tuple[str, str]]:
        seen = set()
        for target, program in self._listed(listing):
            if (target, program) not in seen and self._takes(target, program):
                seen.add((target, program))
                yield target, program

    def _listed(self, listing: str) -> Iterator[tuple[str, str]]:
        for line in listing.splitlines():
            target, sign, program = line.removeprefix("test ").strip().rpartition(":")
            program = program.rpartition("/")[2]
            named = line.startswith("test ") and sign and program not in ("", ".", "..")
            if named and target in self._config.targets:
                yield target, program

    def _takes(self, target: str, program: str) -> bool:
        return _any(self._config.tests, target, program) and not _any(self._config.skip, target, program)

    def _limits(self, listing: str) -> dict[str, timedelta]:
        """What the settings files ask for; 0 is the kernel's word for no limit, which here is the longest."""
        limits = {}
        for line in listing.splitlines():
            word, _, rest = line.partition(" ")
            target, _, setting = rest.partition(" ")
            key, _, value = setting.partition("=")
            if word == "settings" and key.strip() == "timeout" and value.strip().isascii() and value.strip().isdigit():
                seconds = min(int(value.strip()[:9]), int(self._config.longest.total_seconds()))
                limits[target] = timedelta(seconds=seconds) or self._config.longest
        return limits

    def _run(self, target: str, program: str, place: Place) -> Command:
        cwd = PurePosixPath(self._root(place)) / target
        slow = {"KSFT_MACHINE_SLOW": "yes"} if self._config.slow > 1 else {}
        return shell(_RUN, program, env=slow | dict(self._config.env), cwd=cwd, merge=True)

    def read(self, invocation: Invocation, spoken: Spoken) -> tuple[Case, ...]:
        return ktap.to_cases(
            spoken.stdout.decode(errors="replace"), group=invocation.group, test=invocation.test,
            exit_code=spoken.exit_code, timed_out=spoken.timed_out, seconds=spoken.seconds,
            attempt=spoken.attempt, log=spoken.log,
        )  # fmt: skip


def reproduce(invocation: Invocation) -> str:
    """What a developer types in a kernel tree to see the same test."""
    target, _, program = invocation.program.rpartition(":")
    words = f"TARGETS={target}", f"TEST_PROGS={program}", "TEST_GEN_PROGS="
    return shlex.join(("make", "-C", SELFTESTS, *words, "run_tests"))


def _any(globs: tuple[str, ...], target: str, program: str) -> bool:
    return any(fnmatch.fnmatchcase(program, g) or fnmatch.fnmatchcase(f"{target}:{program}", g) for g in globs)
