"""Preparing a host, listing its tests and running one of them: where a suite meets a host.

Answers with cases and the bytes to keep. Refuses to know order, retries, deadlines and tables; a broken host
goes up as `InfraError`, carrying in its hint `files` what the test had said by then.
"""

import hashlib
import time
from collections.abc import AsyncIterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from services.executor.crashes import FILE, blame, in_log, with_places, written
from services.executor.drivers.base import OWN, Capture, Command, Exit, Follows, Host, Target, must, shell
from services.executor.drivers.dmesg import THEN, KernelLog, kernel_log, read, since
from services.executor.suites.base import Compares, Foresees, Invocation, Keeps, Place, Spoken, Step, Suite
from shared.errors import InfraError, Refused
from shared.formats.oops import Judged, Rule
from shared.model.results import Case, Cause, Result

KERNEL = "kernel"
"""The test that is the build of the kernel."""
_SETTLE = timedelta(seconds=1)
"""How long a console must have been silent before it is believed that a machine has said all."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try of one test, or of one step of the preparation.

    `files` are for the run's pack, by name: ``<group>/<test>/<number>/stdout``, ``stderr``, ``dmesg``, ``console`` and
    ``crashes``, each only if it has a byte, stdout always; besides what the suite keeps. `number` counts from 0. `worn`
    says why its machine can run no other test; "" if it can.
    """

    group: str
    test: str
    number: int
    cases: tuple[Case, ...]
    files: Mapping[str, bytes]
    seconds: float
    worn: str = ""


@dataclass(frozen=True, slots=True)
class Listed:
    """What there is to run, in the suite's order, and a case for each test that should be there and is not."""

    invocations: tuple[Invocation, ...]
    absent: tuple[Case, ...] = ()


def base_paths(suite: Suite) -> tuple[str, ...] | None:
    """What `suite` wants of the commit before any series; None: nothing."""
    return suite.base_paths() if isinstance(suite, Compares) else None


async def prepare(
    host: Host,
    suite: Suite,
    place: Place,
    tree: AsyncIterable[bytes] | None,
    base: AsyncIterable[bytes] | None = None,
) -> tuple[Attempt, ...]:
    """Hand over the tree, an uncompressed tar of `suite.paths()` of the commit, and run the suite's steps. `base` is
    the same of `base_paths` and the commit before any series.

    Gives () when the host is ready, else the step that failed, once for each of the suite's groups. A host
    that is ready for this very commit already, left so by a former owner of the run, is left alone.
    """
    steps = suite.prepare(place)
    ready = _ready(suite, steps, place)
    if (await host.run(shell('[ "$(cat ready 2>/dev/null)" = "$1" ]', ready), timeout=OWN)).ok:
        return ()
    await must(host, Command(("rm", "-rf", "ready", "tree", "base", "install", "results")))
    for paths, tar, to in ((suite.paths(), tree, place.tree), (base_paths(suite), base, place.base_tree)):
        if paths is not None:
            if tar is None:
                raise Refused("the suite wants a checkout and none was given")
            await host.unpack(tar, to)
    for step in steps:
        if failed := await _step(host, suite, step):
            return failed
    await must(host, shell('echo "$1" >ready', ready))
    return ()


def _ready(suite: Suite, steps: tuple[Step, ...], place: Place) -> str:
    """The mark of a prepared host: it names the commit and everything that was done with it."""
    what = (suite.paths(), base_paths(suite), steps)
    return f"{place.commit} {place.base} {hashlib.sha256(repr(what).encode()).hexdigest()}"


async def _step(host: Host, suite: Suite, step: Step) -> tuple[Attempt, ...]:
    if step.check is not None:
        await must(host, step.check)
    said = Capture()
    done = await host.run(step.command, timeout=step.time_limit, out=said)
    return () if done.ok else tuple(_failed(group, step, done, said) for group in suite.groups())


def _failed(group: str, step: Step, done: Exit, said: Capture) -> Attempt:
    cause = Cause.TIMEOUT if done.timed_out else Cause.PATCH
    detail = f"no end after {step.time_limit}" if done.timed_out else f"exit={done.code}"
    files = _files(group, step.name, 0, said, "")
    case = Case(group, step.name, Result.FAIL, cause=cause, seconds=done.seconds, detail=detail, log=next(iter(files)))
    return Attempt(group, step.name, 0, (case,), files, done.seconds)


def unbuilt(suite: Suite, said: str, log: str) -> tuple[Attempt, ...]:
    """That the kernel does not build, once for each of the suite's groups."""
    return tuple(_of_kernel(group, Result.FAIL, 0.0, {"stdout": log.encode()}, said) for group in suite.groups())


def built(suite: Suite, seconds: float, files: Mapping[str, bytes]) -> tuple[Attempt, ...]:
    """That the kernel builds, with what tells how, once for each of the suite's groups."""
    return tuple(_of_kernel(group, Result.PASS, seconds, files) for group in suite.groups())


def _of_kernel(group: str, result: Result, seconds: float, files: Mapping[str, bytes], detail: str = "") -> Attempt:
    cause = Cause.PATCH if result is Result.FAIL else None
    named = {f"{group}/{KERNEL}/0/{name}": data for name, data in files.items()}
    case = Case(group, KERNEL, result, cause=cause, seconds=seconds, detail=detail, log=next(iter(named)))
    return Attempt(group, KERNEL, 0, (case,), named, seconds)


async def list_tests(host: Host, suite: Suite, place: Place) -> Listed:
    """The tests to run. A host that cannot list them is broken."""
    command = suite.listing(place)
    said = Capture()
    if command is not None:
        done = await host.run(command, timeout=OWN, out=said)
        if not done.ok:
            why = said.stderr.decode(errors="replace").strip()[-300:]
            raise InfraError(f"{host.name}: the tests cannot be listed: {why or done.code}", host=host.name)
    listing = said.stdout.decode(errors="replace")
    absent = suite.absent(listing, place) if isinstance(suite, Foresees) else ()
    return Listed(suite.invocations(listing, place), absent)


async def attempt(
    target: Target, suite: Suite, invocation: Invocation, place: Place, number: int = 0, ignore: Sequence[Rule] = ()
) -> Attempt:
    """Run one test. `number` is 0 for the first try, 1 for the retry; the test sees it as NETCI_ATTEMPT.

    A crash that the kernel logs meanwhile fails the test, unless a rule of `ignore` takes it. Where the machine has a
    console, one that the machine did not survive is this test's as well, and so is a machine that stops answering until
    the test's time is up: that is what tests of kernels do, and no fault of the way to the machine.
    """
    command = invocation.command
    command = replace(command, env={**target.env, **command.env, "NETCI_ATTEMPT": str(number)})
    # What the console said before is not this test's: the boot, most of the time. It is kept all the same.
    earlier = await target.console.take() if target.console else b""
    said, limit, began = Capture(), invocation.time_limit, time.monotonic()
    try:
        # What the kernel says between two tests is the second one's: nobody else would hear of it.
        before, target.seen.log = target.seen.log or await kernel_log(target.dut), None
        done, after = await _watched(target, command, limit, said, before)
        target.seen.log, news = after, _news(before, after)
    except InfraError as error:
        seconds = time.monotonic() - began
        now = await target.console.take(settle=_SETTLE) if target.console else b""
        hung = target.console is not None and seconds >= limit.total_seconds()
        judged = await with_places(in_log(now.decode(errors="replace"), ignore), target.symbols)
        files = _files(*invocation.key, number, said, "", written(judged), earlier + now)
        if not (judged.crashes or hung):
            error.hints["files"] = files
            raise
        ended = Exit(None, hung, seconds)
        return replace(_attempt(suite, invocation, number, ended, said, files, judged, hung), worn=str(error))
    judged = await with_places(in_log(news, ignore), target.symbols)
    now = await target.console.take() if target.console else b""
    files = _files(*invocation.key, number, said, news, written(judged), earlier + now)
    return _attempt(suite, invocation, number, done, said, files, judged)


async def _watched(
    target: Target, command: Command, limit: timedelta, out: Capture, before: KernelLog
) -> tuple[Exit, KernelLog]:
    """Run it; gives the kernel's log afterwards, too."""
    if not isinstance(target.dut, Follows):
        done, said = await target.dut.run(command, timeout=limit, out=out), None
        if target.closing:
            await target.dut.run(shell(target.closing), timeout=OWN)
    else:
        then = f"{target.closing}\n{THEN}"
        done, said = await target.dut.run_then(command, then, timeout=limit, out=out)
    return done, read(said, before) or await kernel_log(target.dut)


def _attempt(
    suite: Suite,
    invocation: Invocation,
    number: int,
    done: Exit,
    said: Capture,
    files: Mapping[str, bytes],
    judged: Judged,
    hung: bool = False,
) -> Attempt:
    spoken = Spoken(said.stdout, said.stderr, done.code, done.timed_out, done.seconds, number, next(iter(files)))
    kept = suite.keep(invocation, spoken) if isinstance(suite, Keeps) else {}
    files = {**files, **{f"{invocation.group}/{invocation.test}/{number}/{name}": data for name, data in kept.items()}}
    cases = blame(suite.read(invocation, spoken), judged, hung)
    return Attempt(*invocation.key, number, cases, files, done.seconds)


def _news(before: KernelLog, after: KernelLog) -> str:
    return since(before, after) if after.readable else f"(the kernel log cannot be read: {after.why})\n"


def _files(
    group: str, test: str, number: int, said: Capture, dmesg: str, crashes: bytes = b"", console: bytes = b""
) -> dict[str, bytes]:
    """What to keep, standard output first."""
    folder = f"{group}/{test}/{number}"
    files = {f"{folder}/stdout": said.stdout}
    others = (("stderr", said.stderr), ("dmesg", dmesg.encode(errors="replace")), ("console", console), (FILE, crashes))
    for name, data in others:
        if data:
            files[f"{folder}/{name}"] = data
    return files
