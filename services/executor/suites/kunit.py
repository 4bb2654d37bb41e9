"""KUnit: tests within a kernel, booted by the kernel's own kunit.py, or found in the kernel that the host runs.

Answers for kunit.py (under user-mode Linux or QEMU): built once, its tests listed by a first boot, then one boot for
each suite, so that one that crashes takes no other with it; or one boot for all. And for a machine whose kernel has
KUnit in it: results are read from debugfs, or from the kernel log where that is all there is.
"""

import fnmatch
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import PurePosixPath
from typing import ClassVar, Literal, Self

from pydantic import BaseModel, Field, field_validator, model_validator

from services.executor.drivers.base import MIB, Command, shell
from services.executor.suites.base import Invocation, Place, Spoken, Step, Table, inside
from shared.formats import ktap
from shared.formats.ktap_report import unique
from shared.formats.kunit_log import bare, panic
from shared.formats.selftests import dashed
from shared.model.results import Case, Cause, Result
from shared.settings import Duration

TOOL = "tools/testing/kunit/kunit.py"
GROUP = "kunit"
ALL = "all"
MOST_SUITES = 5000


class KunitConfig(Table):
    """``suite = { kind = "kunit", kunitconfigs = ["net/core"] }``

    `where` is ``tool``: kunit.py of the branch's own tree builds and boots; or ``kernel``: the tests of the kernel
    that the host runs, after `modules` are loaded. `boots` is ``each``, a boot for each suite, or ``once``.
    `kunitconfigs`, `kconfig` (``CONFIG_X=y``), `arch`, `cross_compile`, `make_options`, `qemu_args` and
    `kernel_args` are kunit.py's; `alltests` has it build all that its list names. `suites` and `skip` are globs; one
    boot for all knows one glob and no exception.
    """

    kind: Literal["kunit"] = "kunit"
    where: Literal["tool", "kernel"] = "tool"
    boots: Literal["each", "once"] = "each"
    suites: tuple[str, ...] = ("*",)
    skip: tuple[str, ...] = ()
    alltests: bool = False
    kunitconfigs: tuple[str, ...] = ()
    kconfig: tuple[str, ...] = ()
    arch: str = "um"
    cross_compile: str = ""
    make_options: tuple[str, ...] = ()
    qemu_args: tuple[str, ...] = ()
    kernel_args: tuple[str, ...] = ()
    jobs: int | None = Field(default=None, ge=1)
    modules: tuple[str, ...] = ()
    checkout: tuple[str, ...] = ()
    build_limit: Duration = timedelta(minutes=30)
    time_limit: Duration = timedelta(minutes=5)
    env: Mapping[str, str] = Field(default_factory=dict)

    @field_validator("kunitconfigs", "checkout")
    @classmethod
    def _inside(cls, paths: tuple[str, ...]) -> tuple[str, ...]:
        if wrong := [path for path in paths if not inside(path)]:
            raise ValueError(f"{wrong[0]!r} is not a path inside the tree")
        return paths

    @field_validator("modules")
    @classmethod
    def _modules(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if wrong := [name for name in names if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_-]*", name)]:
            raise ValueError(f"{wrong[0]!r} is no module's name")
        return names

    @model_validator(mode="after")
    def _one_boot_one_glob(self) -> Self:
        if self.where == "tool" and self.boots == "once" and (self.skip or len(self.suites) != 1):
            raise ValueError('boots = "once" goes with one glob of suites and without skip')
        return self


GRACE = timedelta(minutes=1)
"""How long kunit.py may take besides the boot that it ends by itself."""

_TOOLS = """
for tool in python3 make; do command -v "$tool" >/dev/null || { echo "$tool is not installed" >&2; exit 1; }; done
"""

# kunit.py exits 0 whatever happened to the kernel that it listed tests of.
_LIST = """
list=$1
shift
"$@" >"$list" 2>&1
cat "$list"
grep -q '^[^ .]*[.][^ .]*$' "$list" && exit 0
echo "netci: the kernel lists no tests: it did not boot, or has none"
exit 1
"""

_KERNEL = """
d=/sys/kernel/debug
[ -d "$d/kunit" ] || mount -t debugfs none "$d" 2>/dev/null
if [ -d "$d/kunit" ]; then
    for suite in "$d"/kunit/*/results; do
        [ -f "$suite" ] && suite=${suite%/results} && echo "${suite##*/}.results"
    done
fi
exit 0
"""

# A retry runs the suite anew where the kernel can; else what it said at boot is all there is.
_RESULTS = """
suite=/sys/kernel/debug/kunit/$1
if [ "${NETCI_ATTEMPT:-0}" != 0 ] && [ -w "$suite/run" ]; then echo 1 >"$suite/run" || exit 1; fi
cat "$suite/results"
"""

_LISTED = re.compile(r"([^\s./]+)\.[^\s.]+")


class Kunit:
    """See `base.Suite`."""

    name: ClassVar[str] = "kunit"
    Config: ClassVar[type[BaseModel]] = KunitConfig

    def __init__(self, config: KunitConfig) -> None:
        self._config = config

    def paths(self) -> tuple[str, ...] | None:
        return None if self._config.where == "kernel" else self._config.checkout

    def groups(self) -> tuple[str, ...]:
        return (GROUP,)

    def prepare(self, place: Place) -> tuple[Step, ...]:
        config = self._config
        if config.where == "kernel":
            load = Command(("modprobe", "-a", "--", *config.modules), merge=True)
            return (Step("load", load, timedelta(minutes=5)),) if config.modules else ()
        jobs = () if config.jobs is None else (f"--jobs={config.jobs}",)
        build = self._tool(place, "build", *jobs, *self._asked())
        steps = [Step("build", build, config.build_limit, shell(_TOOLS, cwd=place.tree))]
        if config.boots == "each":
            words = self._tool(place, "exec", "--list_tests", *self._booting()).argv
            boot = shell(_LIST, str(_list(place)), *words, env=config.env, cwd=place.tree, merge=True)
            steps.append(Step("boot", boot, config.time_limit + GRACE))
        return tuple(steps)

    def _tool(self, place: Place, verb: str, *words: str) -> Command:
        config = self._config
        common = [f"--build_dir={place.work / 'install' / 'kunit'}", f"--arch={config.arch}"]
        common += [f"--cross_compile={config.cross_compile}"] if config.cross_compile else []
        common += [f"--make_options={option}" for option in config.make_options]
        argv = ("python3", f"./{TOOL}", verb, *common, *words)
        # kunit.py must make the folder above its own; it makes only the last.
        return shell(
            'mkdir -p "$1" && shift && exec "$@"', str(place.work / "install" / "kunit"), *argv,
            env=config.env, cwd=place.tree, merge=True, cap=16 * MIB,
        )  # fmt: skip

    def _asked(self) -> tuple[str, ...]:
        config = self._config
        return (
            *(("--alltests",) if config.alltests else ()),
            *(f"--kunitconfig={path}" for path in config.kunitconfigs),
            *(f"--kconfig_add={option}" for option in config.kconfig),
        )

    def _booting(self) -> tuple[str, ...]:
        config = self._config
        return (
            f"--timeout={max(1, int(config.time_limit.total_seconds()))}",
            *(f"--qemu_args={words}" for words in config.qemu_args),
            *(f"--kernel_args={words}" for words in config.kernel_args),
        )

    def listing(self, place: Place) -> Command | None:
        if self._config.where == "kernel":
            return shell(_KERNEL, cap=MIB)
        return Command(("cat", str(_list(place))), cap=4 * MIB) if self._config.boots == "each" else None

    def invocations(self, listing: str, place: Place) -> tuple[Invocation, ...]:
        if self._config.where == "tool" and self._config.boots == "once":
            return (self._boot(place, ALL, self._config.suites[0]),)
        names = list(dict.fromkeys(self._listed(listing)))[:MOST_SUITES]
        if self._config.where == "kernel":
            if not names:
                return (Invocation(GROUP, ALL, Command(("dmesg",)), self._config.time_limit, ""),)
            return tuple(self._results(name, test) for name, test in _tests(names))
        return tuple(self._boot(place, test, name) for name, test in _tests(names))

    def _listed(self, listing: str) -> Iterator[str]:
        for line in listing.splitlines():
            found = _LISTED.fullmatch(line.rstrip())
            if found and self._takes(found[1]):
                yield found[1]

    def _takes(self, name: str) -> bool:
        plain = not name.startswith("-") and not set(name) & set("*?[]")
        return plain and _any(self._config.suites, name) and not _any(self._config.skip, name)

    def _boot(self, place: Place, test: str, suite: str) -> Invocation:
        command = self._tool(place, "exec", "--raw_output=all", *self._booting(), suite)
        program = "" if test == ALL else suite
        return Invocation(GROUP, test, command, self._config.time_limit + GRACE, program)

    def _results(self, suite: str, test: str) -> Invocation:
        command = shell(_RESULTS, suite, env=self._config.env, merge=True)
        return Invocation(GROUP, test, command, self._config.time_limit, suite)

    def read(self, invocation: Invocation, spoken: Spoken) -> tuple[Case, ...]:
        text = bare(spoken.stdout.decode(errors="replace"))
        cases = ktap.to_cases(
            text, group=invocation.group, test=invocation.test, exit_code=spoken.exit_code,
            timed_out=spoken.timed_out, seconds=spoken.seconds, attempt=spoken.attempt, log=spoken.log,
        )  # fmt: skip
        cases = _lifted(cases, invocation.program) if invocation.program else cases
        return (_judged(cases[0], panic(text), len(cases) > 1), *cases[1:])


def _judged(first: Case, why: str, any_results: bool) -> Case:
    """kunit.py with raw output exits 0 however the kernel ended: its word alone is no pass."""
    if first.cause in (Cause.TIMEOUT, Cause.INFRA):
        return first
    if why:
        return replace(first, result=Result.FAIL, cause=Cause.CRASH, detail=f"the kernel panicked: {why}")
    if first.result is Result.PASS and not any_results:
        return replace(first, result=Result.FAIL, detail="no KTAP: the kernel did not come to its tests")
    return first


def _lifted(cases: tuple[Case, ...], suite: str) -> tuple[Case, ...]:
    """A log of one suite names it before each of its tests; the test's own case is that suite's already."""
    first, *below = cases
    own = [case for case in below if case.subtest == suite]
    if len(own) != 1 or any(case.subtest != suite and not case.subtest.startswith(f"{suite}.") for case in below):
        return cases
    if first.result is Result.PASS and own[0].result is not Result.PASS:
        first = replace(first, result=own[0].result, cause=own[0].cause, detail=own[0].detail)
    if first.detail.startswith(f"subtest {suite}."):
        first = replace(first, detail=f"subtest {first.detail.removeprefix(f'subtest {suite}.')}")
    rest = (case for case in below if case is not own[0])
    return (first, *(replace(case, subtest=case.subtest.removeprefix(f"{suite}.")) for case in rest))


def _tests(names: list[str]) -> Iterator[tuple[str, str]]:
    """Each suite with its test's name, no two alike."""
    seen: dict[str, int] = {}
    for name in names:
        yield name, unique(dashed(name), seen)


def _list(place: Place) -> PurePosixPath:
    return place.work / "install" / "kunit.list"


def _any(globs: tuple[str, ...], name: str) -> bool:
    return any(fnmatch.fnmatchcase(name, glob) for glob in globs)
