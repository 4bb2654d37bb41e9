"""Power by programs of the operator's own: a switched outlet, a lab's control server."""

import asyncio
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import ClassVar, Literal

from pydantic import Field

from services.executor.power.base import OFF_FOR, Line, PowerTable, State, ask
from services.executor.power.lines import of_program
from shared.errors import InfraError
from shared.settings import Duration

Words = tuple[str, ...]


class CommandConfig(PowerTable):
    """``power = { kind = "command", on = ["outlet", "3", "on"], off = ["outlet", "3", "off"] }``

    Each is a program and its words, no shell. `status` prints on or off; `cycle` goes before off and on; `console` runs
    for as long as it is listened to, and takes `sysrq_prefix` (as ``~B``) for a break.
    """

    kind: Literal["command"]
    on: Words = Field(min_length=1)
    off: Words = Field(min_length=1)
    status: Words = ()
    cycle: Words = ()
    console: Words = ()
    sysrq_prefix: str = ""
    limit: Duration = timedelta(seconds=60)


class CommandPower:
    """See `base.Power`."""

    name: ClassVar[str] = "command"
    Config: ClassVar[type[PowerTable]] = CommandConfig

    def __init__(self, config: CommandConfig, machine: str) -> None:
        self._config, self._machine = config, machine

    async def _ask(self, words: Words, what: str) -> str:
        return await ask(words, self._config.limit.total_seconds(), f"{self._machine}: {what}")

    async def state(self) -> State:
        if not self._config.status:
            return State.UNKNOWN
        said = (await self._ask(self._config.status, "asking whether it is on")).strip().lower()
        return State(said) if said in (State.ON, State.OFF) else State.UNKNOWN

    async def on(self) -> None:
        await self._ask(self._config.on, "switching on")

    async def off(self) -> None:
        await self._ask(self._config.off, "switching off")

    async def cycle(self) -> None:
        if self._config.cycle:
            await self._ask(self._config.cycle, "power cycle")
            return
        await self.off()
        await asyncio.sleep(OFF_FOR)
        await self.on()

    def console(self) -> AbstractAsyncContextManager[Line]:
        if not self._config.console:
            raise InfraError(f"{self._machine}: it has no console (power.console)")
        return of_program(self._config.console, self._config.sysrq_prefix.encode())
