"""The play: series arrive and branches are cut, a step a round, while the killer does his work.

A step ends when what it asked for can be seen on Patchwork; nothing else is waited for, so what comes between two
sights may be hit at any moment.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from shared.practice.config import CHECKS
from shared.practice.demo.judge import states_of
from shared.practice.world_series import PracticeSeries, Role
from tests.chaos.killer import Killer, Say
from tests.chaos.plan import Round
from tests.chaos.stage import SCRIPT, Stage
from tests.chaos.world import MENDED, RED, STEPS, Wave

PATIENCE = 300.0
"""Seconds for what a step waits for. A host or a remote that failed is tried again after twenty."""


@dataclass
class Play:
    """One run over `stage`; without blows it is the undisturbed one."""

    stage: Stage
    say: Say
    blows: Sequence[Round] = ()
    killer: Killer = field(init=False)

    def __post_init__(self) -> None:
        self.killer = Killer(self.stage, self.say)

    async def run(self) -> None:
        async with self._supervised():
            for wave in self.stage.waves:
                for step in range(STEPS):
                    await self._round(wave, step)

    async def _round(self, wave: Wave, step: int) -> None:
        number = wave.number * STEPS + step
        blows = self.blows[number] if number < len(self.blows) else ()
        began = time.monotonic()
        async with asyncio.TaskGroup() as group:
            group.create_task(self.killer.round(blows))
            group.create_task(_STEPS[step](self, wave))
        self.say(f"round {number + 1}: {time.monotonic() - began:.1f} s")

    @asynccontextmanager
    async def _supervised(self) -> AsyncIterator[None]:
        async def supervise() -> None:
            while True:
                await asyncio.sleep(0.5)
                for room in self.stage.rooms.values():
                    room.keep()

        task = asyncio.ensure_future(supervise())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    # Steps

    async def _old(self, wave: Wave) -> None:
        """The first version is told all that it will ever be told before the second comes."""
        self._post(wave.by_role(Role.OLD))
        await self._settled([wave.by_role(Role.OLD)])

    async def _some(self, wave: Wave, first: int, last: int) -> None:
        for series in [s for s in wave.series if s.role is not Role.OLD][first:last]:
            self._post(series)
            await asyncio.sleep(0.5)

    async def _cut(self, wave: Wave, roles: Sequence[Role]) -> None:
        await self._settled([s for s in wave.series if s.role is not Role.OLD])
        named = [word for role in roles for word in ("--series", wave.by_role(role).message_ids[0])]
        self.say(f"cut        wave {wave.number}: {', '.join(roles)}")
        await self.stage.command("cut", "net-next", "--why", f"wave {wave.number}", *named)

    async def _told(self, wave: Wave, roles: Sequence[Role], state: str) -> None:
        async def told() -> bool:
            said = all(self._states(wave.by_role(role), "contest") == {state} for role in roles)
            return said and self._states(wave.by_role(Role.CONFLICTING), "contest") == {"fail"}

        await self._until(told, f"wave {wave.number}: {', '.join(roles)} are {state}")

    async def _pass(self, wave: Wave) -> None:
        await asyncio.sleep(1)

    # Looking

    def _post(self, series: PracticeSeries) -> None:
        self.say(f"post       {series.title!r} v{series.version} ({series.role})")
        for mail in series.mails:
            self.stage.patchwork.submit(mail)

    async def _settled(self, several: Sequence[PracticeSeries]) -> None:
        async def settled() -> bool:
            contexts = ("tree_selection", "apply", *CHECKS, SCRIPT)
            return all(self._states(s, c) == {"success"} for s in several for c in contexts)

        await self._until(settled, f"{', '.join(s.name for s in several)} are applied and checked, and told so")

    def _states(self, series: PracticeSeries, context: str) -> set[str]:
        return states_of(self.stage.patchwork, series, context)

    async def _until(self, done: "Callable[[], object]", what: str) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                while not await done():  # type: ignore[misc]
                    await asyncio.sleep(0.2)
        except TimeoutError:
            tails = "\n".join(f"--- {room.name}\n{room.tail()}" for room in self.stage.rooms.values())
            raise AssertionError(f"after {PATIENCE:.0f} s it is still not so that {what}\n{tails}") from None


_STEPS = (
    Play._old,
    lambda play, wave: play._some(wave, 0, 2),
    lambda play, wave: play._some(wave, 2, 4),
    lambda play, wave: play._some(wave, 4, 5),
    lambda play, wave: play._cut(wave, (*RED, Role.CONFLICTING)),
    Play._pass,
    lambda play, wave: play._told(wave, RED, "pending"),
    lambda play, wave: play._cut(wave, (*MENDED, Role.CONFLICTING)),
    Play._pass,
    lambda play, wave: play._told(wave, MENDED, "success"),
)
