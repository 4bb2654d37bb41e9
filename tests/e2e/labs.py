"""A lab apart from its server: `netci remote` as a program, the real endpoints on a real database, a net between."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aiohttp.test_utils import TestServer

from services.ingest.api import LabDoor, add_routes
from services.ingest.api.desk import LabDesk
from services.report.web.app import build
from shared.db.outbox import stage
from shared.db.pool import Pool
from shared.events import BranchCut
from shared.floor import Floor
from shared.model.results import Purpose
from shared.practice.hosts import Fleet
from shared.settings import Settings, parse
from shared.web.sse import Hub
from tests.conftest import Database, FloorFor
from tests.e2e.programs import netci, started
from tests.services.executor.remote.build import some_toml
from tests.services.ingest.api.lab import a_token
from tests.support.cutting import Net, net_to

SETTINGS = """
data = "{data}"
[disk]
free = 0
[projects.netdev]
[projects.netdev.trees.net-next]
git = "https://git.example.org/net-next.git"
[projects.netdev.streams.net-next]
tree = "net-next"
push = "/nowhere"
[[remotes]]
name = "lab-x"
report = true
"""


def settings_of(data: Path) -> Settings:
    return parse(SETTINGS.format(data=data))


@asynccontextmanager
async def endpoints(ingest: Floor, report: Floor) -> AsyncIterator[tuple[str, int]]:
    """Both rooms' paths on one listener of loopback, as `netci up` has them."""
    hub, door = Hub(report.pool, report.bells), LabDoor("ingest")
    await hub.start()
    door.open(LabDesk(ingest))
    app = build(report, hub)
    add_routes(app, door)
    server = TestServer(app)
    await server.start_server(auto_decompress=False)
    following = asyncio.ensure_future(hub.run())
    try:
        assert server.port is not None
        yield "127.0.0.1", server.port
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        await server.close()


@dataclass
class Selftests:
    """An installed bundle of shell tests; each leaves a line when it is run, and may wait for a word of ours."""

    folder: Path
    tests: list[str] = field(default_factory=list)

    def add(self, name: str, *, waits: bool = False, says: str = "ok 1 one\nok 2 two") -> None:
        place = self.folder / "net"
        place.mkdir(parents=True, exist_ok=True)
        self.tests.append(name)
        lines = ["#!/bin/sh", f'echo . >>"{self.folder}/{name}.ran"']
        if waits:
            lines += [f'until [ -e "{self.folder}/{name}.go" ]; do sleep 0.02; done']
        lines += [
            "echo TAP version 13",
            f"echo 1..{says.count('ok ')}",
            *(f"echo '{line}'" for line in says.splitlines()),
        ]
        (place / f"{name}.sh").write_text("\n".join(lines) + "\n")
        (place / f"{name}.sh").chmod(0o755)
        (place / "settings").write_text("timeout=120\n")
        (self.folder / "kselftest-list.txt").write_text("".join(f"net:{test}.sh\n" for test in self.tests))

    def go(self, name: str) -> None:
        (self.folder / f"{name}.go").touch()

    def ran(self, name: str) -> int:
        file = self.folder / f"{name}.ran"
        return len(file.read_text().splitlines()) if file.exists() else 0


@dataclass
class Lab:
    """The lab's side, and what the server has of it. `owner` may read everything."""

    folder: Path
    net: Net
    owner: Pool
    tests: Selftests
    env: Mapping[str, str]
    process: asyncio.subprocess.Process | None = None

    @property
    def config(self) -> Path:
        return self.folder / "lab.toml"

    @property
    def data(self) -> Path:
        return self.folder / "lab"

    async def start(self) -> None:
        self.process = await started("--log", "warning", "remote", "run", str(self.config), env=self.env)

    async def stop(self, sig: signal.Signals = signal.SIGKILL) -> str:
        """End it; what it said."""
        assert self.process is not None
        self.process.send_signal(sig)
        out, err = await self.process.communicate()
        self.process = None
        return (out + err).decode()

    async def status(self) -> dict[str, Any]:
        said = await netci("remote", "status", "--json", str(self.config), env=self.env)
        assert said.out, said.err
        found: dict[str, Any] = json.loads(said.out)
        return found

    async def cut(self, slot: int = 9, stream: str = "net-next") -> str:
        """Announce a branch, as the branch room does. Gives its name."""
        name, now = f"{stream}-2026-11-23--{slot:02}-00", datetime.now(UTC)
        commit = f"{slot:x}" * 40
        async with self.owner.acquire() as conn, conn.transaction():
            cut = await conn.fetchval(
                """insert into branch.cuts (project, stream, slot, purpose, name, state, tree, base, commit, public_url,
                                            announced)
                   values ('netdev', $1, $2, 'by-hand', $3, 'announced', 'net-next', $4, $5, '', $2) returning id""",
                stream, now, name, "b" * 40, commit,
            )  # fmt: skip
            await stage(conn, "branch", BranchCut(
                project="netdev", cut=cut, stream=stream, branch=name, commit=commit, base="b" * 40,
                purpose=Purpose.BY_HAND, slot=now, public_url="", taken=1, left_out=0,
            ))  # fmt: skip
        return name

    async def runs(self) -> list[Mapping[str, Any]]:
        rows = await self.owner.fetch("select * from ledger.runs order by branch, attempt")
        return [dict(row) for row in rows]

    async def cases(self, run: int) -> list[tuple[str, str, int, str]]:
        rows = await self.owner.fetch(
            "select test, subtest, attempt, result from ledger.cases_v where run_id = $1 order by 1, 2, 3", run
        )
        return [(r["test"], r["subtest"], r["attempt"], r["result"]) for r in rows]

    async def events(self, kind: str) -> int:
        return int(await self.owner.fetchval(
            """select count(distinct id) from (select event_id as id from floor.outbox where type like '%' || $1 || '%'
               union all select id from floor.events where type like '%' || $1 || '%') e""", kind
        ))  # fmt: skip


@asynccontextmanager
async def a_lab(
    database: Database, floor_for: FloorFor, fleet: Fleet, folder: Path, *, more: str = "",
    sandbox: bool = False, first: str = "20ms", longest: str = "100ms",
) -> AsyncIterator[Lab]:  # fmt: skip
    """Everything but the running program, which is killed at the end if it still runs. `first` and `longest` are how
    long it waits before it asks a server again that is away.
    """
    settings, owner = settings_of(folder / "server"), await database.pool("")
    ingest, report = await floor_for("ingest", settings), await floor_for("report", settings)
    async with AsyncExitStack() as stack:
        net = await stack.enter_async_context(net_to(*await stack.enter_async_context(endpoints(ingest, report))))
        tests = Selftests(folder / "bundle")
        token = await a_token(owner, remote="lab-x", sandbox=sandbox)
        lab = Lab(folder, net, owner, tests, dict(os.environ) | {"LAB_TOKEN": token})
        suite = f'{{ kind = "kselftest", targets = ["net"], bundle = "{tests.folder}" }}'
        hosts = ", ".join(f'"{address}"' for address in fleet.addresses)
        driver = (
            f'{{ kind = "ssh", hosts = [{hosts}], key_file = "{fleet.key_file}", known_hosts = "{fleet.known_hosts}", '
            'kill_grace = "1s" }'
        )
        more = f"free = 0\n{more}"
        lab.config.write_text(
            some_toml(lab.data, net.url, more, suite=suite, driver=driver, first=first, longest=longest)
        )
        try:
            yield lab
        finally:
            if lab.process is not None:
                print(await lab.stop())


async def until(true: Callable[[], Any], what: str, seconds: float = 60) -> None:
    """Wait for what happens elsewhere. `true` may be a coroutine function."""
    try:
        async with asyncio.timeout(seconds):
            while True:
                found = true()
                if await found if asyncio.iscoroutine(found) else found:
                    return
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(f"after {seconds:g} s it is still not so that {what}") from None
