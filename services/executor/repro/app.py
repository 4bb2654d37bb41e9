"""Run a recipe's test here, in a guest of QEMU with the kernel it ran on, or on a machine of one's own.

The branch is fetched by its commit, the kernel built with the very configuration, the suite prepared as there, and that
one test is run as often as wanted. What it comes to is compared with what it came to there.
"""

import os
import shutil
from collections.abc import AsyncIterable, AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from services.executor.drivers.base import Driver
from services.executor.drivers.here import Here
from services.executor.drivers.ssh import SshDriver
from services.executor.drivers.ssh_config import SshConfig
from services.executor.drivers.vm.config import VmConfig
from services.executor.drivers.vm.driver import VmDriver
from services.executor.drivers.vm.guest_root import guest_root
from services.executor.endings import Ending
from services.executor.recipe import Recipe
from services.executor.repro.given import Given
from services.executor.resume import History
from services.executor.runner import RunJob, Surroundings, carry_out
from services.executor.schedule import Past, Task
from services.executor.suites import SuiteConfig, suite_for
from services.executor.suites.attempt import Attempt, base_paths
from services.executor.suites.base import Invocation, Place, Suite
from services.executor.trees import Trees, chunks
from shared.clock import wall
from shared.errors import InfraError, Missing, Refused
from shared.model.results import Case, Result

_DAY = timedelta(days=1)

Say = Callable[[str], None]
"""Is told how far it has come."""


@dataclass(frozen=True)
class Wanted:
    """How it is to be done. `kernel` is an image or a package that goes before what the recipe says; `root` a guest's
    root; `host` a machine to run on instead of a guest; `git` where to fetch from."""

    work: Path
    kernel: Path | None = None
    modules: Path | None = None
    root: Path | None = None
    host: str = ""
    known_hosts: Path | None = None
    key_file: Path | None = None
    git: str = ""
    times: int = 1


@dataclass(frozen=True)
class Came:
    """What one try came to. `logs` are files of this machine."""

    result: str
    cases: Sequence[Case]
    seconds: float
    logs: Path


class Only:
    """A suite of which one test is run."""

    def __init__(self, suite: Suite, key: tuple[str, str]) -> None:
        self._suite, self._key = suite, key

    def __getattr__(self, name: str) -> Any:
        return getattr(self._suite, name)

    def invocations(self, listing: str, place: Place) -> tuple[Invocation, ...]:
        return tuple(one for one in self._suite.invocations(listing, place) if one.key == self._key)


async def reproduce(given: Given, wanted: Wanted, say: Say) -> list[Came]:
    """Every try. Raises Refused for what is configured wrongly or cannot be done here, Missing if there is no such test
    in the branch, InfraError if this machine cannot."""
    recipe = given.recipe
    wanted.work.mkdir(parents=True, exist_ok=True)
    trees = Trees(wanted.work, "repro")
    say(f"fetching {recipe.branch}, commit {recipe.commit[:12]}")
    await trees.fetch(recipe.commit, wanted.git or recipe.git)
    suite = _suite(recipe)
    driver = await _driver(given, wanted, Here(wanted.work, store=trees.store), say)
    tries = []
    async with AsyncExitStack() as stack:
        tree = await stack.enter_async_context(_files(trees, recipe.commit, suite.paths()))
        base = await stack.enter_async_context(_files(trees, recipe.base, base_paths(suite)))
        around = Surroundings(_claim, tree, _open, wall, base=base)
        for number in range(wanted.times):
            logs = wanted.work / "logs" / f"{recipe.group}-{recipe.test}" / str(number)
            sink = _Sink(logs, recipe, say)
            job = RunJob("repro", recipe.commit, recipe.branch, recipe.base, wall() + _DAY, 0, Past())
            only: Any = Only(suite, (recipe.group, recipe.test))
            outcome = await carry_out(job, driver, only, sink, around)
            if outcome.built and not outcome.tests:
                raise Missing(f"the branch has no test {recipe.group}/{recipe.test} here, or it was not built")
            tries.append(sink.came())
    return tries


def _suite(recipe: Recipe) -> Suite:
    try:
        config: Any = TypeAdapter(SuiteConfig).validate_python(recipe.suite)
    except ValidationError as exc:
        said = "; ".join(f"suite.{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in exc.errors())
        raise Refused(f"this netci does not know the recipe's suite: {said}") from None
    return suite_for(config)


async def _driver(given: Given, wanted: Wanted, here: Here, say: Say) -> Driver:
    if wanted.host:
        return SshDriver(_ssh(wanted))
    root = wanted.root or await guest_root(wanted.work)
    kernel = _kernel(given, wanted)
    say("a guest of QEMU, " + (f"kernel {kernel}" if isinstance(kernel, str) else "its kernel built as it was there"))
    told = {key: given.recipe.driver[key] for key in ("memory", "cpus", "append") if key in given.recipe.driver}
    config = {"kind": "vm", "kernel": kernel, "root": root, "pool": "repro", "load": 1000, **told}
    if wanted.modules:
        config["modules"] = wanted.modules
    try:
        return VmDriver(VmConfig.model_validate(config), here)
    except ValidationError as exc:
        said = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in exc.errors())
        raise Refused(f"such a guest cannot be had: {said}") from None


def _kernel(given: Given, wanted: Wanted) -> Any:
    """An image, or how it is built. Raises Refused where neither is known."""
    if wanted.kernel:
        return str(wanted.kernel.resolve())
    if given.config:
        file = wanted.work / "kernel.config"
        file.write_bytes(given.config)
        built = given.recipe.driver.get("kernel")
        more: Mapping[str, Any] = built if isinstance(built, Mapping) else {}
        return {
            "config": str(file), "suite": False, "modules": more.get("modules", True),
            "variables": more.get("variables", {}),
        }  # fmt: skip
    ran = given.recipe.facts.get("kernel_package") or given.recipe.facts.get("kernel") or "one of its machine's own"
    raise Refused(
        f"it ran on a kernel that was not built from the branch ({ran}): give one with --kernel (an image, or a "
        "distribution's package), or a machine that runs it with --host"
    )


def _ssh(wanted: Wanted) -> SshConfig:
    known = wanted.known_hosts or Path.home() / ".ssh" / "known_hosts"
    if not wanted.key_file and not os.environ.get("SSH_AUTH_SOCK"):
        raise Refused("--host: no ssh agent is there (SSH_AUTH_SOCK); give a key with --key")
    try:
        return SshConfig.model_validate({
            "hosts": [wanted.host], "known_hosts": known, "key_file": wanted.key_file, "agent": not wanted.key_file,
        })  # fmt: skip
    except ValidationError as exc:
        raise Refused(f"--host: {'; '.join(e['msg'] for e in exc.errors())}") from None


@asynccontextmanager
async def _files(trees: Trees, commit: str, paths: tuple[str, ...] | None) -> AsyncIterator[Any]:
    if paths is None:
        yield None
        return
    if not commit:
        raise Refused("the recipe names no base, which this suite compares with")
    async with trees.tar(commit, paths) as file:

        def tar() -> AsyncIterable[bytes]:
            return chunks(file)

        yield tar


@asynccontextmanager
async def _claim(address: str) -> AsyncIterator[int]:
    # Seconds since long ago: higher than that of a former try, whatever became of it.
    yield int(wall().timestamp())


async def _open() -> bool:
    return True


class _Sink:
    """See `sink.Sink`: keeps the files in a folder."""

    def __init__(self, folder: Path, recipe: Recipe, say: Say) -> None:
        self._folder, self._recipe, self._say = folder, recipe, say
        self._cases: list[Case] = []
        self._seconds = 0.0
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)

    def came(self) -> Came:
        rows = [case for case in self._cases if not case.subtest]
        mine = [case for case in rows if case.test == self._recipe.test] or rows
        if not mine:
            raise InfraError("the test came to no result")
        return Came(str(mine[-1].result), self._cases, self._seconds, self._folder)

    async def stands(self) -> History:
        return History()

    async def planned(self, tests: int, expected_end: datetime) -> None:
        return

    async def began(self, task: Task, host: str) -> None:
        self._say(f"running {'/'.join(task.key)}")

    async def ended(self, attempt: Attempt, host: str, expected_end: datetime) -> None:
        self._cases += attempt.cases
        for name, data in attempt.files.items():
            file = self._folder / name.rpartition("/")[2] if attempt.test == self._recipe.test else None
            if file is not None:
                file.write_bytes(data)
        if attempt.test == self._recipe.test:
            self._seconds = attempt.seconds
        elif attempt.cases and attempt.cases[0].result is not Result.PASS:
            (self._folder / f"{attempt.test}.log").write_bytes(next(iter(attempt.files.values()), b""))

    async def not_run(self, cases: Sequence[Case]) -> None:
        self._cases += cases

    async def host(self, address: str, state: str, reason: str) -> None:
        if state == "broken":
            self._say(f"broken: {reason}")

    async def end(self, ending: Ending) -> None:
        return
