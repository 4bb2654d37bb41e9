"""Builds on another machine: the series' commits are pushed to it by SSH, `netci check` there asks, and its answers
come back line by line as they are known.

It is a machine for hostile code, as this one is: it gets no key, and nothing of it is believed that has not the form
of an answer to what was asked. Everything but builds is asked here.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field

import structlog
from pydantic import ValidationError

from services.executor.check_queue.asking import Asker, Gate, Order
from services.executor.check_queue.questions import NEEDS_OF, tasks_of
from services.executor.check_queue.told import LONGEST, Told, told
from services.executor.checking.sink import CheckSink, Task
from services.executor.drivers.base import Command, Driver, Host, Job, LeaseLost, shell
from services.executor.drivers.ssh import SshDriver
from services.executor.drivers.ssh_config import Address, SshConfig
from services.executor.trees import Trees
from shared.errors import InfraError, NetciError, Refused
from shared.git.process import SshKey
from shared.git.refs import push
from shared.model.ids import Sha
from shared.settings import Builder

log = structlog.get_logger(__name__)

# Whoever is in a cage there reads commits as nobody: the wrapper's umask would not let it.
_MAKE = 'umask 022; mkdir -p "$HOME/$1" && { [ -d "$HOME/$1/$2" ] || git init -q --bare "$HOME/$1/$2"; }'
_CHECK = 'umask 022; cd "$HOME/$1" && store=$2 && shift 2 && exec "$@" --tree "$store" --cache "$PWD/cache"'
_FORGET = 'git -C "$HOME/$1" update-ref -d "$2"'

Alone = Callable[[str], AbstractAsyncContextManager[int]]
"""The host for whoever asks, alone: waited for; the number rises with every such lease."""


@dataclass(frozen=True)
class BuilderAsker:
    """Asks builds on `table`'s machine, and everything else, as well as pull requests, of `here`."""

    table: Builder
    here: Asker
    trees: Callable[[str], Trees]
    alone: Alone
    driver: Driver

    async def ask(self, order: Order, sink: CheckSink, gate: Gate) -> None:
        if order.plan.lane != "build" or order.series.pull:
            await self.here.ask(order, sink, gate)
            return
        checks = [check for check in order.checks if check.needs is NEEDS_OF["build"]]
        wanted = {task for task in tasks_of(checks, len(order.series.patches)) if task not in order.settled}
        if not wanted:
            return
        while not await gate():
            pass
        async with self.alone(self.table.host) as number:
            try:
                await self._there(order, wanted, sink, number)
            except LeaseLost as exc:
                # The machine's word is no proof that the plan is another's: our own table says so, if it is.
                raise InfraError(f"the builder is somebody else's: {exc}") from exc

    async def _there(self, order: Order, wanted: set[Task], sink: CheckSink, number: int) -> None:
        plan = order.plan
        async with self.driver.lease(Job(f"checks-{plan.id}", number, self.table.host)) as target:
            ref, store = f"refs/heads/plan-{plan.id}", f"{plan.project}.git"
            await self._said_well(target.dut, shell(_MAKE, self.table.folder, store), "a store")
            await self._send(order, ref, store)
            try:
                await self._ask(target.dut, self._command(order, wanted, store), wanted, sink)
            finally:
                await target.dut.run(shell(_FORGET, f"{self.table.folder}/{store}", ref), timeout=self.table.time_limit)

    async def _send(self, order: Order, ref: str, store: str) -> None:
        trees, address = self.trees(order.plan.project), Address.parse(self.table.host)
        head = await trees.fetch(order.plan.head, order.series.public_url)
        host = f"[{address.host}]" if ":" in address.host else address.host
        url = f"ssh://{address.user}@{host}:{address.port}/~/{self.table.folder}/{store}"
        key = SshKey(self.table.key_file, self.table.known_hosts)
        try:
            await push(trees.store, url, {ref: Sha(head)}, absent=False, key=key, timeout=3600)
        except NetciError as exc:
            raise InfraError(f"the builder does not take the commits: {exc}") from exc

    def _command(self, order: Order, wanted: set[Task], store: str) -> Command:
        names = [word for name in sorted({task.check for task in wanted}) for word in ("--check", name)]
        plan = order.plan
        words = (
            *self.table.command, "check", "--stream", "--builds", "--config", self.table.config,
            "--project", plan.project, "--fixes" if plan.kind == "fixes" else "--next",
            "--patches", f"{plan.base}..{plan.head}", *names,
        )  # fmt: skip
        return shell(_CHECK, self.table.folder, store, *words, cap=LONGEST * 4)

    async def _said_well(self, host: Host, command: Command, what: str) -> None:
        exit_ = await host.run(command, timeout=self.table.time_limit)
        if not exit_.ok:
            raise InfraError(f"the builder has no place for {what}: it ended with {exit_.code}")

    async def _ask(self, host: Host, command: Command, wanted: set[Task], sink: CheckSink) -> None:
        """Hand on what it says as it comes. Raises InfraError if it leaves anything unanswered."""
        heard, left = _Heard(), set(wanted)

        async def run() -> None:
            try:
                exit_ = await host.run(command, timeout=self.table.time_limit, out=heard)
                heard.ended = f"{exit_.code}: {bytes(heard.stderr[-300:]).decode(errors='replace').strip()}"
            finally:
                heard.close()

        running = asyncio.ensure_future(run())
        try:
            async for line in heard.lines():
                if (news := told(line, wanted)) is not None:
                    await _hand_on(news, sink)
                    left -= {news.task} if news.what in ("answered", "unasked") else set()
            await running
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        if left:
            raise InfraError(f"the builder left {len(left)} questions without an answer; it ended with {heard.ended}")


async def _hand_on(news: Told, sink: CheckSink) -> None:
    match news.what:
        case "began":
            await sink.began(news.task)
        case "described":
            await sink.described(news.task, news.text)
        case "unasked":
            await sink.unasked(news.task, news.text)
        case "answered":
            assert news.said is not None
            await sink.answered(news.task, news.said, news.seconds)


@dataclass
class _Heard:
    """An `Output` cut into lines."""

    ended: str = "nothing"
    stderr: bytearray = field(default_factory=bytearray)
    _rest: bytearray = field(default_factory=bytearray)
    _lines: "asyncio.Queue[bytes | None]" = field(default_factory=asyncio.Queue)

    def write(self, data: bytes, *, stderr: bool) -> None:
        if stderr:
            self.stderr = (self.stderr + data)[-10_000:]
            return
        self._rest += data
        if b"\n" in data:
            *whole, rest = self._rest.split(b"\n")
            self._rest = bytearray(rest)
            for line in whole:
                self._lines.put_nowait(bytes(line))

    def close(self) -> None:
        self._lines.put_nowait(None)

    async def lines(self) -> AsyncIterator[bytes]:
        while (line := await self._lines.get()) is not None:
            if line.strip():
                yield line


def driver_of(table: Builder) -> Driver:
    """The way to the machine. Raises Refused, naming the key, for what cannot be one."""
    try:
        config = SshConfig(
            hosts=(table.host,), key_file=table.key_file, known_hosts=table.known_hosts,
            directory=f"{table.folder}/host",
        )  # fmt: skip
    except ValidationError as exc:
        lines = [f"checks.builder.{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in exc.errors()]
        raise Refused("\n".join(lines)) from None
    return SshDriver(config)
