"""The two bodies of `Work` and `Sink` as one: rows in a database, and a lab's spool."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Protocol

from services.executor.handlers import plan_cut
from services.executor.remote.journal import Record
from services.executor.remote.spool import Spool, SpooledRun
from services.executor.remote.work import Hosts, SpoolWork, numbers_in
from services.executor.sink import Sink
from services.executor.table_work import TableWork
from services.executor.work import Claim, Work
from shared.blobs.pack import member, names
from shared.clock import wall
from shared.db.pool import Pool
from shared.errors import Superseded
from shared.floor import Floor
from tests.services.executor.remote.build import a_branch, a_spool
from tests.services.executor.world import a_cut

HOSTS = ("root@vm1", "root@vm2")
ROW = tuple[str, str, int, str]
"""Test, subtest, attempt, result."""


class Rig(Protocol):
    """What the suite needs besides the two Protocols."""

    async def announce(self, slot: int = 9) -> None:
        """A branch is there to be tested."""

    def work(self) -> Work:
        """As a process that has just begun. Those before it are dead."""

    async def lost(self, claim: Claim, work: Work) -> Work:
        """The claim is no longer its owner's, who has not noticed; gives where it can be claimed now."""

    async def told(self) -> list[ROW]:
        """The cases that stand, or are on their way to where they will."""

    async def details(self) -> list[str]: ...

    async def logs(self) -> Mapping[str, bytes]:
        """What the closed run keeps of what each test printed, by test."""

    async def ended(self) -> tuple[str, str]:
        """State and reason of the run that ended last."""


@dataclass
class TableRig:
    """On a database, with the rights of executor."""

    floor: Floor
    owner: Pool

    async def announce(self, slot: int = 9) -> None:
        cut = await a_cut(self.owner, f"{slot:x}" * 40, f"net-next-2026-11-23--{slot:02}-00", ago=3600 - slot)
        async with self.floor.pool.acquire() as conn, conn.transaction():
            await plan_cut(self.floor, conn, cut)

    def work(self) -> "_Overdue":
        return _Overdue(TableWork(self.floor, self.floor.settings.executors[0], HOSTS), self.owner)

    async def lost(self, claim: Claim, work: Work) -> Work:
        return self.work()

    async def told(self) -> list[ROW]:
        rows = await self.owner.fetch("select test, subtest, attempt, result from ledger.cases_v order by 1, 3, 2")
        return [(r["test"], r["subtest"], r["attempt"], r["result"]) for r in rows]

    async def details(self) -> list[str]:
        return [r["detail"] for r in await self.owner.fetch("select detail from ledger.cases_v order by test")]

    async def logs(self) -> Mapping[str, bytes]:
        sha256 = await self.owner.fetchval("select log_pack from ledger.runs order by id desc limit 1")
        packed = await self.floor.blobs.get(sha256)
        return {name.split("/")[1]: member(packed, name) for name in names(packed) if "/" in name}

    async def ended(self) -> tuple[str, str]:
        row = await self.owner.fetchrow("select state, reason from executor.plans where state <> 'planned'")
        assert row is not None
        return row["state"], row["reason"]


@dataclass
class _Overdue:
    """The leases of dead processes have run out by the time somebody asks."""

    work: TableWork
    owner: Pool
    first: bool = True

    async def claim(self) -> Claim | None:
        if self.first:
            await self.owner.execute("update floor.work set lease_until = now() where lease_until is not null")
            self.first = False
        return await self.work.claim()


@dataclass
class SpoolRig:
    """On a folder."""

    folder: Path
    spools: list[Spool] = field(default_factory=list)

    async def announce(self, slot: int = 9) -> None:
        branch = a_branch(slot, announced=wall() - timedelta(seconds=3600 - slot))
        Spool(self.folder).order(branch, "net", branch.announced + timedelta(hours=3))

    def work(self) -> SpoolWork:
        self.spools.append(Spool(self.folder))
        machines = Hosts(numbers_in(self.folder))
        return SpoolWork(self.spools[-1], "net", HOSTS, machines, wall, "all", patience=0.1)

    async def lost(self, claim: Claim, work: Work) -> Work:
        # Another process cannot be: only within one may a run be claimed anew while something of the old goes on.
        await claim.broke(Superseded("let go"))
        return work

    def _runs(self) -> list[SpooledRun]:
        return list(Spool(self.folder).runs.values())

    def _bodies(self) -> list[Record]:
        return [case for run in self._runs() for r in run.journal.of("cases") for case in r["body"]["cases"]]

    async def told(self) -> list[ROW]:
        rows = set()
        for case in self._bodies():
            rows.add((case["test"], "", case["attempt"], case["result"]))
            rows |= {(case["test"], sub["test"], case["attempt"], sub["result"]) for sub in case.get("cases", [])}
        return sorted(rows, key=lambda row: (row[0], row[2], row[1]))

    async def details(self) -> list[str]:
        return [case.get("detail", "") for case in self._bodies()]

    async def logs(self) -> Mapping[str, bytes]:
        [run] = self._runs()
        files = run.journal.of("artifact")
        return {record["name"].split("/")[1]: (run.folder / record["file"]).read_bytes() for record in files}

    async def ended(self) -> tuple[str, str]:
        ends = [r for run in self._runs() for r in run.journal.of("end")]
        return (ends[0]["state"], ends[0]["reason"]) if ends else ("skipped", "")


async def taken(work: Work) -> Claim:
    """What is claimed within reason."""
    async with asyncio.timeout(20):
        while (claim := await work.claim()) is None:
            pass
    return claim


async def begun(claim: Claim) -> Sink:
    sink = await claim.open()
    assert sink is not None
    return sink


@asynccontextmanager
async def nothing_more(work: Work) -> AsyncIterator[None]:
    """Afterwards there is nothing to claim."""
    yield
    assert await work.claim() is None


def spool_rig(folder: Path) -> SpoolRig:
    a_spool(folder)
    return SpoolRig(folder)
