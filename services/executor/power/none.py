"""A machine that nobody has power over but who stands beside it."""

from contextlib import AbstractAsyncContextManager
from typing import ClassVar, Literal, Never

from services.executor.power.base import Line, PowerTable, State
from shared.errors import InfraError


class NoneConfig(PowerTable):
    """``power = { kind = "none" }``"""

    kind: Literal["none"] = "none"


class NoPower:
    """See `base.Power`."""

    name: ClassVar[str] = "none"
    Config: ClassVar[type[PowerTable]] = NoneConfig

    def __init__(self, config: NoneConfig, machine: str) -> None:
        self._machine = machine

    async def state(self) -> State:
        return State.UNKNOWN

    async def on(self) -> None:
        self._refuse()

    async def off(self) -> None:
        self._refuse()

    async def cycle(self) -> None:
        self._refuse()

    def console(self) -> AbstractAsyncContextManager[Line]:
        self._refuse()

    def _refuse(self) -> Never:
        raise InfraError(f"{self._machine}: nothing has power over it (power.kind is none): go there")
