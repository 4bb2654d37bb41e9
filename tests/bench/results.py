"""A lab's whole run, from the body of its request to committed tables, against two other ways to keep the same rows.

Two sizes: 29 tests and 755 tests, each with 13 subtests. Beside the time of a whole request that of its stages is
told. The peers, in the same run and on the same server, with fsync on:

(a) what NIPA does: for each test and subtest a SELECT and then an UPDATE, each a commit of its own, on a table of
    10,000 rows without an index;
(b) one raw COPY, its text made beforehand, of the same rows into the same table with its indexes and constraints, their
    names and their run being there already.

`ratio` is that against (a) in the worse of the two sizes, `copy_ratio` likewise against (b).
"""

import asyncio
import json
import re
import shutil
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import structlog
from aiohttp import web
from asyncpg.transaction import Transaction

from services.ingest.api import LabDoor, add_routes, results
from services.ingest.api.desk import LabDesk
from shared.blobs.disk import DiskBlobs
from shared.bus.postgres import PostgresBus
from shared.clock import wall
from shared.db.bells import Bells
from shared.db.embedded import Embedded, running
from shared.db.migrate import migrate
from shared.db.pool import Pool, open_pool
from shared.floor import Floor
from shared.formats import run_document
from shared.ledger import Ledger
from shared.web.app import make_app
from tests.services.ingest.api.lab import BRANCH, a_branch, a_token, settings

SIZES = ((29, 13), (755, 13))
ROUNDS = 7
TABLE = 10_000
FEW = 2000
"""Rows after which (a) is not waited for any more: its pace does not change."""


# What is sent


def a_body(tests: int, subtests: int, executor: str) -> bytes:
    """A run as a driver's selftests give it: names of usual length, times, now and then a failure with its reason."""
    cases = [
        {
            "group": f"selftests-net-{n % 7}", "test": f"test_program_{n}.py", "result": "pass", "seconds": n * 0.37,
            "cases": [_subtest(n, m) for m in range(subtests)],
        }
        for n in range(tests)
    ]  # fmt: skip
    document = {
        "branch": BRANCH,
        "executor": executor,
        "device": {"driver": "mlx5_core", "fw": "28.40"},
        "cases": cases,
    }
    return json.dumps(document).encode()


def _subtest(test: int, number: int) -> dict[str, Any]:
    name = f"case_{number}.variant_{number % 3}.ipv{4 + 2 * (number % 2)}"
    if (test + number) % 50 == 0:
        return {"test": name, "result": "fail", "seconds": 0.5, "detail": "Expected 5 (5) == recv(fd, buf, 5, 0) (-1)"}
    return {"test": name, "result": "pass", "seconds": 0.01 * number}


# Ours


@dataclass
class Stages:
    """Milliseconds of each stage of each request."""

    took: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def add(self, name: str, began: float) -> None:
        self.took[name].append((time.perf_counter() - began) * 1000)

    def medians(self) -> dict[str, float]:
        found = {name: statistics.median(took) for name, took in self.took.items()}
        # The columns are made while validating, which looks at them.
        found["validate"] -= found["rows"]
        return {name: round(found[name], 2) for name in ("read", "validate", "rows", "write", "commit")}

    def timed(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def timing(*args: Any) -> Any:
            began = time.perf_counter()
            try:
                return call(*args)
            finally:
                self.add(name, began)

        return timing

    def awaited(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        async def timing(*args: Any) -> Any:
            began = time.perf_counter()
            try:
                return await call(*args)
            finally:
                self.add(name, began)

        return timing


@asynccontextmanager
async def watched(stages: Stages) -> AsyncIterator[None]:
    """The stages of requests, timed where they are."""
    former: list[tuple[Any, str, Any]] = []

    def put(place: Any, name: str, made: Callable[[Any], Any]) -> None:
        former.append((place, name, getattr(place, name)))
        setattr(place, name, made(getattr(place, name)))

    def reading(body_of: Any) -> Any:
        @asynccontextmanager
        async def timing(*args: Any) -> AsyncIterator[bytes]:
            began = time.perf_counter()
            async with body_of(*args) as data:
                stages.add("read", began)
                yield data

        return timing

    put(results, "body_of", reading)
    put(run_document, "read_run", lambda read: stages.timed("validate", read))
    put(run_document, "columns", lambda columns: stages.timed("rows", columns))
    put(Ledger, "whole", lambda whole: stages.awaited("write", whole))
    put(Transaction, "__aexit__", lambda leave: stages.awaited("commit", leave))
    try:
        yield
    finally:
        for place, name, was in former:
            setattr(place, name, was)


@asynccontextmanager
async def served(floor: Floor) -> AsyncIterator[int]:
    """The endpoints on a port of loopback, as ingest serves them."""
    door = LabDoor("ingest")
    door.open(LabDesk(floor))
    app = make_app()
    add_routes(app, door)
    runner = web.AppRunner(app, access_log=None, auto_decompress=False)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


@dataclass(frozen=True)
class Lab:
    """A lab's end of one connection that stays open. A bare socket: what a client costs itself is not measured."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    token: str

    async def post(self, body: bytes) -> float:
        """Seconds from the first byte sent to the last of the answer."""
        head = (
            f"POST /api/v1/lab/results HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {self.token}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        began = time.perf_counter()
        self.writer.write(head.encode() + body)
        said = await self.reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"(?i)\r\nContent-Length: (\d+)", said)
        assert length is not None, said
        told = await self.reader.readexactly(int(length[1]))
        took = time.perf_counter() - began
        assert said.startswith(b"HTTP/1.1 201 "), (said, told)
        return took


@asynccontextmanager
async def connected(port: int, token: str) -> AsyncIterator[Lab]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield Lab(reader, writer, token)
    finally:
        writer.close()


# The peers


async def by_statement(owner: Pool, rows: int) -> float:
    """(a) A SELECT and an UPDATE a row, each its own commit."""
    await owner.execute("drop table if exists nipa_way")
    await owner.execute("create table nipa_way (remote text, executor text, grp text, test text, subtest text, "
                        "result text, passed timestamptz, failed timestamptz)")  # fmt: skip
    await owner.execute("insert into nipa_way select 'metal', 'vm', 'group', 'test-' || n, 'sub', 'pass' "
                        "from generate_series(1, $1) n", TABLE)  # fmt: skip
    await owner.execute("vacuum analyze nipa_way")
    where = "where remote = 'metal' and executor = 'vm' and grp = 'group' and test = $1 and subtest = 'sub'"
    async with owner.acquire() as conn:
        select = await conn.prepare(f"select passed, failed from nipa_way {where}")
        update = await conn.prepare(f"update nipa_way set passed = now(), result = 'pass' {where}")
        began = time.perf_counter()
        for number in range(rows):
            name = f"test-{number % TABLE + 1}"
            await select.fetchrow(name)
            await update.fetch(name)
        return time.perf_counter() - began


_COPY = "day, run_id, grp, test, subtest, attempt, result, cause, seconds, detail, log, crashes, at, link"


async def by_copy(owner: Pool, run: int) -> tuple[float, int]:
    """(b) The rows of `run` once more, under a run that is there. Seconds and how many."""
    twin = await owner.fetchval(
        """insert into ledger.runs (day, project, remote, executor, cut_id)
           select day, project, remote, executor || '-twin', cut_id from ledger.runs where id = $1 returning id""",
        run,
    )
    text = BytesIO()
    columns = _COPY.replace("run_id", f"{twin}::bigint")
    await owner.copy_from_query(f"select {columns} from ledger.cases where run_id = {run}", output=text)
    data = text.getvalue()
    async with owner.acquire() as conn:
        began = time.perf_counter()
        said = await conn.copy_to_table("cases", schema_name="ledger", columns=_COPY.split(", "), source=BytesIO(data))
        return time.perf_counter() - began, int(said.split()[1])


# The comparison


async def compare(owner: Pool, floor: Floor, tests: int, subtests: int) -> dict[str, Any]:
    """Rows a second of each, and of ours the stages."""
    token, stages, rows = await a_token(owner), Stages(), tests * (1 + subtests)
    mine: list[float] = []
    copies: list[float] = []
    async with served(floor) as port, connected(port, token) as lab:
        # Twice to warm up: names, plans, caches.
        for number in range(-2, ROUNDS):
            executor = f"bench-{tests}-{number + 2}"
            body = a_body(tests, subtests, executor)
            if number == 0:
                mine.clear()
                copies.clear()
                async with watched(stages):
                    await lab.post(a_body(tests, subtests, f"bench-{tests}-stages"))
            mine.append(await lab.post(body))
            run = await owner.fetchval("select id from ledger.runs where executor = $1", executor)
            seconds, copied = await by_copy(owner, run)
            assert copied == rows, f"{copied} rows and not {rows}"
            copies.append(seconds)
        async with watched(stages):
            for number in range(ROUNDS):
                await lab.post(a_body(tests, subtests, f"bench-{tests}-stages-{number}"))
    few = min(rows, FEW)
    slow = await by_statement(owner, few) * rows / few
    a, b = statistics.median(mine), statistics.median(copies)
    found = {"ours": rows / a, "peer": rows / slow, "copy": rows / b}
    print(f"{tests} x {subtests}, {rows} rows, {len(body)} bytes: {a * 1000:.1f} ms; COPY {b * 1000:.1f} ms; "
          f"by statement {slow * 1000:.0f} ms", file=sys.stderr)  # fmt: skip
    return found | {"stages": stages.medians()}


async def measure() -> dict[str, Any]:
    folder = Path(tempfile.mkdtemp(prefix="netci-bench-", dir="/var/tmp"))
    folder.chmod(0o711)
    try:
        async with running(Embedded(folder)) as dsn:
            await migrate(dsn)
            async with open_pool(dsn, "", 4) as owner, open_pool(dsn, "ingest", 4) as pool:
                assert await owner.fetchval("show fsync") == "on"
                await a_branch(owner)
                bells = Bells()
                made = settings(rate=10_000, burst=100_000, new_names=1_000_000)
                floor = Floor(
                    made,
                    "ingest",
                    dsn,
                    pool,
                    PostgresBus(pool, bells),
                    bells,
                    DiskBlobs(folder / "blobs"),
                    wall,
                    "bench",
                )
                found = {
                    f"{tests}x{subtests}": await compare(owner, floor, tests, subtests) for tests, subtests in SIZES
                }
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return _answer(found)


def _answer(found: dict[str, dict[str, Any]]) -> dict[str, Any]:
    worst = min(found.values(), key=lambda one: one["ours"] / one["peer"])
    return {
        "bench": "results", "ours": round(worst["ours"]), "peer": round(worst["peer"]),
        "ratio": round(worst["ours"] / worst["peer"], 1), "unit": "rows/s",
        "copy_ratio": round(min(one["ours"] / one["copy"] for one in found.values()), 2),
        "rows": {size: {name: round(one[name]) for name in ("ours", "peer", "copy")} for size, one in found.items()},
        "stages": {size: one["stages"] for size, one in found.items()},
    }  # fmt: skip


def main() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    print(json.dumps(asyncio.run(measure())))


if __name__ == "__main__":
    main()
