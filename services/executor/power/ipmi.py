"""Power by a BMC that speaks IPMI, through ``ipmitool``.

The password is read by ipmitool from a file, and so is on no command line. A BMC is slow, loses datagrams and has room
for one console: what did not work is tried again, and a console that is open is closed before ours.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from services.executor.power.base import OFF_FOR, Line, PowerTable, State, ask, until
from services.executor.power.lines import of_program
from shared.errors import InfraError

_LIMIT = 30.0
_TRIES = 3
_REST = 2.0


class IpmiConfig(PowerTable):
    """``power = { kind = "ipmi", host = "bmc7.lab", user = "ci", password_file = "/etc/netci/bmc7" }``

    `interface` is ipmitool's; `cipher` its number of a cipher suite, for BMCs that offer none of the better ones.
    """

    kind: Literal["ipmi"]
    host: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]*$")
    port: int = Field(default=623, ge=1, le=65535)
    user: str = Field(default="", pattern=r"^[^-\s]?\S*$")
    password_file: Path | None = None
    interface: Literal["lanplus", "lan"] = "lanplus"
    cipher: int | None = Field(default=None, ge=0, le=99)


class IpmiPower:
    """See `base.Power`."""

    name: ClassVar[str] = "ipmi"
    Config: ClassVar[type[PowerTable]] = IpmiConfig

    def __init__(self, config: IpmiConfig, machine: str) -> None:
        self._config, self._machine = config, machine

    def _words(self, *rest: str) -> tuple[str, ...]:
        config = self._config
        words = ("ipmitool", "-I", config.interface, "-H", config.host, "-p", str(config.port))
        user = ("-U", config.user) if config.user else ()
        password = ("-f", str(config.password_file)) if config.password_file else ("-P", "")
        cipher = ("-C", str(config.cipher)) if config.cipher is not None else ()
        return (*words, *user, *password, *cipher, *rest)

    async def _chassis(self, verb: str) -> str:
        for number in range(1, _TRIES + 1):
            try:
                return await ask(self._words("chassis", "power", verb), _LIMIT, f"{self._machine}: power {verb}")
            except InfraError:
                if number == _TRIES:
                    raise
                await asyncio.sleep(_REST)
        raise AssertionError("the last try leaves")

    async def state(self) -> State:
        said = (await self._chassis("status")).strip().lower()
        return State.ON if said.endswith("is on") else State.OFF if said.endswith("is off") else State.UNKNOWN

    async def on(self) -> None:
        await self._chassis("on")

    async def off(self) -> None:
        await self._chassis("off")

    async def cycle(self) -> None:
        # ``power cycle`` is refused by a machine that is off.
        if await self.state() is State.OFF:
            await self.on()
            return
        await self.off()
        await self._until(State.OFF)
        await asyncio.sleep(OFF_FOR)
        await self.on()

    async def _until(self, wanted: State) -> None:
        async def so() -> bool:
            return await self.state() is wanted

        await until(so, _LIMIT, _REST / 4, f"{self._machine}: its BMC does not come to say that it is {wanted}")

    def console(self) -> AbstractAsyncContextManager[Line]:
        return self._console()

    @asynccontextmanager
    async def _console(self) -> AsyncIterator[Line]:
        try:
            await ask(self._words("sol", "deactivate"), _LIMIT, self._machine)
        except InfraError:
            pass  # None was open.
        async with of_program(self._words("sol", "activate"), b"~B") as line:
            yield line
