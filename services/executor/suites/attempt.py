"""Preparing a host, listing its tests and running one of them: where a suite meets a host.

Answers with cases and the bytes to keep. Refuses to know order, retries, deadlines and tables; a broken host
goes up as `InfraError`, carrying in its hint `files` what the test had said by then.
"""

import hashlib
from collections.abc import AsyncIterable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

from services.executor.drivers.base import Capture, Command, Exit, Host, shell
from services.executor.drivers.dmesg import KernelLog, kernel_log, since
from services.executor.suites.base import Invocation, Place, Spoken, Step, Suite
from shared.errors import InfraError, Refused
from shared.model.results import Case, Cause, Result

SHORT = timedelta(minutes=2)
"""The limit of commands of our own that touch many files."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try of one test, or of one step of the preparation.

    `files` are for the run's pack, by name: ``<group>/<test>/<number>/stdout``, ``stderr`` and ``dmesg``,
    each only if it has a byte, stdout always. `number` counts from 0.
    """

    group: str
    test: str
    number: int
    cases: tuple[Case, ...]
    files: Mapping[str, bytes]
    seconds: float


async def prepare(host: Host, suite: Suite, place: Place, tree: AsyncIterable[bytes] | None) -> tuple[Attempt, ...]:
    """Hand over the tree, an uncompressed tar of `suite.paths()` of the commit, and run the suite's steps.

    Gives () when the host is ready, else the step that failed, once for each of the suite's groups. A host
    that is ready for this very commit already, left so by a former owner of the run, is left alone.
    """
    steps = suite.prepare(place)
    ready = _ready(suite, steps, place)
    if (await host.run(shell('[ "$(cat ready 2>/dev/null)" = "$1" ]', ready), timeout=SHORT)).ok:
        return ()
    await _must(host, Command(("rm", "-rf", "ready", "tree", "install", "results")))
    if suite.paths() is not None:
        if tree is None:
            raise Refused("the suite wants a checkout and none was given")
        await host.unpack(tree, place.tree)
    for step in steps:
        if failed := await _step(host, suite, step):
            return failed
    await _must(host, shell('echo "$1" >ready', ready))
    return ()


def _ready(suite: Suite, steps: tuple[Step, ...], place: Place) -> str:
    """The mark of a prepared host: it names the commit and everything that was done with it."""
    return f"{place.commit} {hashlib.sha256(repr((suite.paths(), steps)).encode()).hexdigest()}"


async def _must(host: Host, command: Command) -> None:
    said = Capture()
    done = await host.run(command, timeout=SHORT, out=said)
    if not done.ok:
        why = said.stderr.decode(errors="replace").strip()[-300:] or f"{command.argv[0]} ended with {done.code}"
        raise InfraError(f"{host.name}: {why}", host=host.name)


async def _step(host: Host, suite: Suite, step: Step) -> tuple[Attempt, ...]:
    if step.check is not None:
        await _must(host, step.check)
    said = Capture()
    done = await host.run(step.command, timeout=step.time_limit, out=said)
    return () if done.ok else tuple(_failed(group, step, done, said) for group in suite.groups())


def _failed(group: str, step: Step, done: Exit, said: Capture) -> Attempt:
    cause = Cause.TIMEOUT if done.timed_out else Cause.PATCH
    detail = f"no end after {step.time_limit}" if done.timed_out else f"exit={done.code}"
    files = _files(group, step.name, 0, said, "")
    case = Case(group, step.name, Result.FAIL, cause=cause, seconds=done.seconds, detail=detail, log=next(iter(files)))
    return Attempt(group, step.name, 0, (case,), files, done.seconds)


async def list_tests(host: Host, suite: Suite, place: Place) -> tuple[Invocation, ...]:
    """The tests to run, in the suite's order. A host that cannot list them is broken."""
    command = suite.listing(place)
    said = Capture()
    if command is not None:
        done = await host.run(command, timeout=SHORT, out=said)
        if not done.ok:
            why = said.stderr.decode(errors="replace").strip()[-300:]
            raise InfraError(f"{host.name}: the tests cannot be listed: {why or done.code}", host=host.name)
    return suite.invocations(said.stdout.decode(errors="replace"), place)


async def attempt(host: Host, suite: Suite, invocation: Invocation, place: Place, number: int = 0) -> Attempt:
    """Run one test. `number` is 0 for the first try, 1 for the retry; the test sees it as NETCI_ATTEMPT."""
    command = invocation.command
    command = replace(command, env={**command.env, "NETCI_ATTEMPT": str(number)})
    before = await kernel_log(host)
    said = Capture()
    try:
        done = await host.run(command, timeout=invocation.time_limit, out=said)
        news = _news(before, await kernel_log(host))
    except InfraError as error:
        error.hints["files"] = _files(*invocation.key, number, said, "")
        raise
    return _attempt(suite, invocation, number, done, said, news)


def _attempt(suite: Suite, invocation: Invocation, number: int, done: Exit, said: Capture, news: str) -> Attempt:
    files = _files(*invocation.key, number, said, news)
    spoken = Spoken(said.stdout, said.stderr, done.code, done.timed_out, done.seconds, number, next(iter(files)))
    return Attempt(*invocation.key, number, suite.read(invocation, spoken), files, done.seconds)


def _news(before: KernelLog, after: KernelLog) -> str:
    return since(before, after) if after.readable else f"(the kernel log cannot be read: {after.why})\n"


def _files(group: str, test: str, number: int, said: Capture, dmesg: str) -> dict[str, bytes]:
    """What to keep, standard output first."""
    folder = f"{group}/{test}/{number}"
    files = {f"{folder}/stdout": said.stdout}
    for name, data in (("stderr", said.stderr), ("dmesg", dmesg.encode(errors="replace"))):
        if data:
            files[f"{folder}/{name}"] = data
    return files
