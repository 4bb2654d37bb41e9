"""Patchwork in trouble for as long as one likes, and what must be so all the same.

The whole netci in one process on the demo's stage, as a small install runs it. In each trouble series keep arriving
and a branch is cut; it lasts its time, and until it is seen on the status page and in metrics where it can be seen.
Afterwards every series was taken in once, everything was posted once, and all is well again.
"""

import asyncio
import re
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from shared.practice.config import Tables
from shared.practice.demo.stage import Stage, staged
from shared.practice.world_series import PracticeSeries, Role
from tests.chaos.killer import Say
from tests.chaos.sight import PATIENCE, all_is_there_once, data, found_by, says, seen, told, until, well
from tests.chaos.world import STEPS, waves
from tests.support.rabbitmq import free_port

MANY = 1_000_000
SLOW: Mapping[str, Any] = {"kind": "slow", "delay": 4.0}
"""The client waits three seconds."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """`faults` as the practice Patchwork names them; none is a Patchwork that is down.

    What is `open` shows as a failure; the rest looks well from outside. What `loses` has its series found by others
    than the news.
    """

    name: str
    faults: tuple[Mapping[str, Any], ...]
    open: bool = True
    loses: bool = False

    async def begin(self, stage: Stage) -> None:
        for fault in self.faults:
            stage.patchwork.misbehave.add(**fault)
        if not self.faults:
            await stage.patchwork.down()

    async def end(self, stage: Stage) -> None:
        stage.patchwork.misbehave.clear()
        if not self.faults:
            await stage.patchwork.up()


TROUBLES = (
    Trouble("down", ()),
    Trouble("slow", (SLOW,)),
    Trouble("502", ({"kind": "status", "status": 502},)),
    Trouble("html", ({"kind": "html"},)),
    Trouble("truncated", ({"kind": "truncated"},)),
    Trouble("stored, then cut off", ({"kind": "drop-after"},)),
    Trouble("events lost", ({"kind": "lose-events", "count": MANY},), open=False, loses=True),
    Trouble("events doubled, in any order",
            ({"kind": "double-events", "count": MANY}, {"kind": "shuffle-events"}), open=False),
    Trouble("mails late", ({"kind": "late-mails", "count": MANY},), open=False),
)  # fmt: skip


def impatient(tables: Tables) -> None:
    tables["projects"]["netdev"]["patchwork"] |= {"reconcile": "3s", "sync_queue": "10s", "timeout": "3s"}


@asynccontextmanager
async def a_stage(seed: int = 3) -> AsyncIterator[Stage]:
    async with staged(seed, f"127.0.0.1:{free_port()}", adapt=impatient) as stage:
        yield stage


def submit(stage: Stage, series: PracticeSeries) -> None:
    for mail in series.mails:
        stage.patchwork.submit(mail)


@dataclass(slots=True)
class Row:
    """What became of one trouble. Times are seconds since it began, or since it ended for `over`."""

    trouble: str
    series: int
    lasted: float = 0.0
    ingest: float | None = None
    report: float | None = None
    tested: float | None = None
    over: float = 0.0
    found: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class Run:
    """Every trouble for `length` seconds on one stage. Raises AssertionError; `rows` says how far it came."""

    stage: Stage
    length: float
    say: Say
    rows: list[Row]
    _sent: list[PracticeSeries] = field(default_factory=list)

    @property
    def patience(self) -> float:
        """Whoever doubles its waits is back within about the length of the trouble, and never waits over 300 s."""
        return PATIENCE + 2 * min(self.length, 300.0)

    async def all(self, world: Sequence[Sequence[PracticeSeries]]) -> None:
        for trouble, series in zip(TROUBLES, world, strict=True):
            await self._one(trouble, series)
        await all_is_there_once(self.stage, self._sent, self.patience)
        assert len(await self._branches()) == len(self.rows)

    async def _one(self, trouble: Trouble, several: Sequence[PracticeSeries]) -> None:
        """The first series is there before, so that there is something to cut; the others come while it lasts."""
        first, *others = sorted(several, key=lambda series: series.role is not Role.GOOD)
        self._post(first)
        await until(told(self.stage, [first]), f"{first.title!r} has its checks before {trouble.name}", self.patience)
        row = Row(trouble.name, len(several))
        self.rows.append(row)
        before = await found_by(self.stage)
        began = time.monotonic()
        self.say(f"{trouble.name}: begins")
        await trouble.begin(self.stage)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._arrive(others))
                group.create_task(self._cut(first, row, began))
                if trouble.open:
                    group.create_task(self._watch(row, began))
                group.create_task(asyncio.sleep(self.length))
        finally:
            await trouble.end(self.stage)
        row.lasted = time.monotonic() - began
        self.say(f"{trouble.name}: ends after {row.lasted:.0f} s")
        await self._recover(trouble, several, first, row)
        row.found = await found_by(self.stage) - before
        if trouble.loses:
            await self._missed(row, len(others))

    async def _missed(self, row: Row, series: int) -> None:
        """A source that loses events answers well; what shows is that its series are found by others than the news."""
        elsewhere = row.found["number"] + row.found["queue"]
        assert elsewhere == series, f"found without their events: {elsewhere}, not {series}"
        text = await says(self.stage, "ingest:patchwork:netdev")
        assert re.search(r"series found since the start: .*by (number|queue)", text), f"the status page says {text!r}"

    def _post(self, series: PracticeSeries) -> None:
        self.say(f"post       {series.title!r} ({series.role})")
        submit(self.stage, series)
        self._sent.append(series)

    async def _arrive(self, several: Sequence[PracticeSeries]) -> None:
        for series in several:
            self._post(series)
            await asyncio.sleep(self.length / len(several))

    async def _cut(self, series: PracticeSeries, row: Row, began: float) -> None:
        """A branch of what is there, tested while Patchwork cannot be told."""
        await self.stage.command("cut", "net-next", "--why", f"during {row.trouble}", "--series", series.message_ids[0])

        async def tested() -> bool:
            branches = await self._branches()
            if len(branches) < len(self.rows):
                return False
            newest = await data(self.stage, f"/api/v1/branches/{branches[0]['name']}")
            return _passed(newest.get("runs", []))

        await until(tested, f"the branch cut during {row.trouble} is tested", self.patience)
        row.tested = time.monotonic() - began
        self.say(f"{row.trouble}: its branch is tested after {row.tested:.0f} s")

    async def _branches(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await data(self.stage, "/api/v1/branches")).get("branches", [])
        return found

    async def _watch(self, row: Row, began: float) -> None:
        for room in ("ingest", "report"):
            await until(seen(self.stage, room), f"{room} shows the trouble ({row.trouble})", self.patience)
            setattr(row, room, time.monotonic() - began)
            self.say(f"{row.trouble}: {room} shows it after {time.monotonic() - began:.0f} s")

    async def _recover(
        self, trouble: Trouble, several: Sequence[PracticeSeries], first: PracticeSeries, row: Row
    ) -> None:
        ended = time.monotonic()
        what = f"after {trouble.name}"
        await until(told(self.stage, several), f"{what} every series has its checks", self.patience)
        await until(told(self.stage, [first], ["contest"]), f"{what} its branch is reported", self.patience)
        await until(well(self.stage), f"{what} the status page shows that all is well", self.patience)
        row.over = time.monotonic() - ended
        self.say(f"{trouble.name}: all made up for {row.over:.0f} s after its end")


def _passed(runs: Sequence[Mapping[str, Any]]) -> bool:
    return bool(runs) and all(run["word"] == "pass" for run in runs)


def without_old(series: Sequence[PracticeSeries]) -> list[PracticeSeries]:
    """Without the first version, which is told nothing once the second is there."""
    return [one for one in series if one.role is not Role.OLD]


async def outages(length: float, seed: int, say: Say, rows: list[Row]) -> None:
    """Every trouble for `length` seconds. Raises AssertionError; `rows` is filled as far as it came."""
    with tempfile.TemporaryDirectory(prefix="netci-outages-", dir="/var/tmp") as folder:
        _, made = await asyncio.to_thread(waves, Path(folder), seed, len(TROUBLES) * STEPS)
        async with a_stage(seed) as stage:
            await Run(stage, length, say, rows).all([without_old(wave.series) for wave in made])


def table(rows: Sequence[Row]) -> str:
    """One line for each trouble."""
    head = ("trouble", "lasted", "series", "in ingest", "in report", "tested", "made up")
    lines = ["{:<30} {:>8} {:>6} {:>9} {:>9} {:>8} {:>8}  found by".format(*head)]
    for row in rows:
        found = ", ".join(f"{n} {by}" for by, n in sorted(row.found.items()))
        lines.append(
            f"{row.trouble:<30} {_s(row.lasted):>8} {row.series:>6} {_s(row.ingest):>9} {_s(row.report):>9} "
            f"{_s(row.tested):>8} {_s(row.over):>8}  {found}"
        )
    return "\n".join(lines)


def _s(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds:.1f} s"
