"""A database with a day of a busy CI in it, and the front served over it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.test_utils import unused_port

from services.report.store import ReportStore
from services.report.web.app import serve
from shared.blobs.pack import pack
from shared.blobs.record import keep
from shared.db.outbox import stage
from shared.db.pool import Pool
from shared.events import BranchCut, SeriesArrived, TreeMoved
from shared.floor import Floor
from shared.ledger.write import Ending, Ledger, Opening, OpenRun
from shared.model.results import Case, Cause, Purpose, Result
from shared.settings import Settings, parse

URL = "https://github.com/linux-netdev/testing.git"
HOSTILE = "<script>alert(1)</script>"
BRANCH = "net-next-2026-11-23--09-00"
OLDER = "net-next-2026-11-23--06-00"

CONFIG = """
data = "{data}"
[web]
listen = "127.0.0.1:{port}"
[disk]
free = {free}
[projects.netdev]
series_public = "{url}"
[projects.netdev.trees.net]
git = "https://example.org/net.git"
kind = "fixes"
[projects.netdev.trees.net-next]
git = "https://example.org/net-next.git"
[projects.netdev.streams.net-next]
tree = "net-next"
merge = ["net"]
push = "/dev/null"
public = "{url}"
[[remotes]]
name = "metal"
report = true
[[remotes]]
name = "lab-x"
[[executors]]
remote = "metal"
name = "vmksft-net"
streams = ["net-next"]
suite = {{ kind = "kselftest" }}
driver = {{ kind = "ssh" }}
"""


def settings_for(data: Path, free: int = 0) -> Settings:
    """Settings of a front on a free port of loopback."""
    return parse(CONFIG.format(data=data, port=unused_port(), url=URL, free=free))


@dataclass
class World:
    """What was seeded, by number."""

    owner: Pool
    good: int
    conflicting: int
    refused: int
    cut: int
    older: int
    closed: int
    open: OpenRun
    ledger: Ledger


def sha(letter: str) -> str:
    return (letter * 40)[:40]


async def a_series(owner: Pool, number: int, title: str, **more: Any) -> int:
    """A series with two patches; `more` overrides columns."""
    row: dict[str, Any] = {
        "project": "netdev", "source": "patchwork", "external_id": 1000 + number, "title": title,
        "message_id": f"2026112308{number:04}.1-1-jane@example.org", "subject": f"[PATCH net-next 0/2] {title}",
        "author_name": "Jane Doe", "author_email": "jane@example.org", "total": 2, "received": 2, "state": "active",
        "trees": ["net-next"], "tree_rule": "tag", "tree_reason": "the subject says net-next",
        "web_url": "https://patchwork.kernel.org/series/1/", **more,
    }  # fmt: skip
    names = ", ".join(row)
    places = ", ".join(f"${i}" for i in range(1, len(row) + 1))
    made = await owner.fetchval(f"insert into ingest.series ({names}) values ({places}) returning id", *row.values())
    for n in (1, 2):
        await owner.execute(
            "insert into ingest.patches (series_id, number, external_id, message_id, title, author_name, web_url) "
            "values ($1, $2, $3, $4, $5, 'Jane Doe', 'https://patchwork.kernel.org/patch/1/')",
            made, n, 10_000 + number * 10 + n, f"2026112308{number:04}.1-{n + 1}-jane@example.org",
            f"{title} ({n} of 2)",
        )  # fmt: skip
    return int(made)


async def applied(floor: Floor, owner: Pool, series: int, **more: Any) -> None:
    log = await keep(floor, b"Applying: net: x\nerror: patch failed: net/core/dev.c:17\n\x1b[31mred\x1b[0m\n")
    row: dict[str, Any] = {
        "series_id": series, "revision": 1, "project": "netdev", "outcome": "applied", "tree": "net-next",
        "tree_reason": "the subject names it, and it applies", "base": sha("b"), "head": sha("a"),
        "ref": f"refs/tags/netci/2026112308{series:04}.1-1-jane@example.org", "public_url": URL, "log": log,
        "published": datetime.now(UTC), **more,
    }  # fmt: skip
    names, places = ", ".join(row), ", ".join(f"${i}" for i in range(1, len(row) + 1))
    await owner.execute(f"insert into branch.applied ({names}) values ({places})", *row.values())


async def a_cut(owner: Pool, name: str, slot: datetime, **more: Any) -> int:
    row: dict[str, Any] = {
        "project": "netdev", "stream": "net-next", "slot": slot, "purpose": "scheduled", "name": name,
        "state": "announced", "tree": "net-next", "base": sha("b"), "commit": sha("c"), "public_url": URL,
        "merges": [{"tree": "net", "url": "https://example.org/net.git", "head": sha("d"), "state": "resolved",
                    "commit": sha("e"), "files": ["net/core/dev.c"]}],
        "extras": [{"name": "local.patch", "ok": True, "text": "applied"}], "pushed": slot, "announced": slot, **more,
    }  # fmt: skip
    names, places = ", ".join(row), ", ".join(f"${i}" for i in range(1, len(row) + 1))
    return int(await owner.fetchval(f"insert into branch.cuts ({names}) values ({places}) returning id", *row.values()))


async def chosen(owner: Pool, cut: int, series: int, position: int, decision: str = "take", **more: Any) -> None:
    row: dict[str, Any] = {
        "cut_id": cut, "series_id": series, "revision": 1, "position": position, "decision": decision,
        "rule": "pending", "reason": "pending for net-next", "merged": sha("f") if decision == "take" else "", **more,
    }  # fmt: skip
    names, places = ", ".join(row), ", ".join(f"${i}" for i in range(1, len(row) + 1))
    await owner.execute(f"insert into branch.selections ({names}) values ({places})", *row.values())


CASES = (
    Case("selftests-net", "tls", Result.PASS, seconds=93.4, log="selftests-net/tls/0/stdout"),
    Case("selftests-net", "tls", Result.PASS, subtest="12_gcm.send", seconds=0.1),
    Case("selftests-net", "tls", Result.SKIP, subtest="13_sm4.send", detail="no cipher"),
    Case("selftests-net", "gro.sh", Result.FAIL, seconds=12.0, detail="exit 1", log="selftests-net/gro.sh/0/stdout"),
    Case("selftests-net", "gro.sh", Result.PASS, attempt=1, seconds=11.0, log="selftests-net/gro.sh/1/stdout"),
    Case("selftests-net", "fib_tests.sh", Result.FAIL, cause=Cause.CRASH, seconds=301.0, detail="kernel crashed",
         log="selftests-net/fib_tests.sh/0/stdout", crashes=("general protection fault in fib6_walk",)),
    Case("selftests-net", "fib_tests.sh", Result.FAIL, attempt=1, seconds=7.5, detail=HOSTILE),
    Case("selftests-net", "fib_tests.sh", Result.FAIL, subtest="ipv6_rt.unregister", attempt=1, detail="want 0, got 1"),
    Case("selftests-net", "xfrm_policy.sh", Result.SKIP, seconds=0.4, detail="no xfrm"),
)  # fmt: skip

LOG = (
    b"TAP version 13\n1..2\n# timeout set to 3600\nok 1 selftests: net: tls\n"
    b"not ok 2 selftests: net: <b>gro</b> # exit=1\n"
    b"ok 3 other # SKIP no device\n\x1b[31mred\x1b[0m \xe2\x80\xae reversed\n"
)


async def runs(floor: Floor, owner: Pool, cut: int, branch: str) -> tuple[int, Ledger]:
    """A closed run with a pack of logs and its rollup."""
    ledger = Ledger("executor")
    logs = {case.log: LOG for case in CASES if case.log}
    log_pack = await keep(floor, pack(logs | {"selftests-net/fib_tests.sh/0/crashes": b"general protection fault\n"}))
    async with owner.acquire() as conn, conn.transaction():
        run = await ledger.open(conn, an_opening(cut, branch))
        await ledger.append(conn, run, CASES)
        await ledger.finish(conn, run, Ending(log_pack=log_pack))
        await ReportStore().roll_up_run(conn, run.id)
    return run.id, ledger


def an_opening(cut: int, branch: str, **more: Any) -> Opening:
    values: dict[str, Any] = {
        "project": "netdev", "remote": "metal", "executor": "vmksft-net", "stream": "net-next", "branch": branch,
        "cut_id": cut, "kernel_commit": sha("c"), "toolchain": "gcc 14.2.0", "planned": 4, **more,
    }  # fmt: skip
    return Opening(**values)


async def seed(floor: Floor, owner: Pool) -> World:
    """Streams, series good, conflicting, refused and superseded; a red branch, one being tested, a paused stream."""
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    good = await a_series(owner, 1, "net: sockets: count what is dropped")
    conflicting = await a_series(owner, 2, f"tcp: {HOSTILE} avoid a division by zero")
    refused = await a_series(owner, 3, "can: a driver for a bus that nobody has", tree_reason="paths under net/can/")
    old = await a_series(owner, 4, "gro: smaller skbs", state="superseded", superseded_by=good, reason="v2 came")
    await applied(floor, owner, good)
    await applied(floor, owner, conflicting)
    await applied(
        floor, owner, refused, outcome="refused", tree="", reason="applies to none of net, net-next", ref="",
        patch_number=2, files=["net/can/raw.c"], public_url="",
    )  # fmt: skip
    older = await a_cut(owner, OLDER, now - timedelta(hours=5))
    cut = await a_cut(owner, BRANCH, now - timedelta(hours=2))
    await chosen(owner, older, good, 1)
    await chosen(owner, cut, good, 1)
    await chosen(
        owner, cut, conflicting, 2, "leave", rule="conflict", reason="patch 1 does not apply on this branch",
        patch_number=1, files=["net/ipv4/tcp_input.c"], rival=good,
    )  # fmt: skip
    await chosen(owner, cut, refused, 3, "leave", rule="apply", reason="applies to none of net, net-next")
    closed, ledger = await runs(floor, owner, older, OLDER)
    running = await _running(owner, ledger, cut, now)
    await _concluded(owner, older, good, conflicting, cut)
    await _around(floor, owner, now, old, cut)
    return World(owner, good, conflicting, refused, cut, older, closed, running, ledger)


async def _running(owner: Pool, ledger: Ledger, cut: int, now: datetime) -> OpenRun:
    async with owner.acquire() as conn, conn.transaction():
        run = await ledger.open(conn, an_opening(cut, BRANCH, planned=9, expected_end=now + timedelta(minutes=40)))
        await ledger.append(conn, run, CASES[:3])
        lab = await ledger.open(conn, an_opening(cut, BRANCH, remote="lab-x", executor="nic-100g"))
        await ledger.abandon(conn, lab, "infra", "the DUT does not boot")
    return run


async def _concluded(owner: Pool, older: int, good: int, conflicting: int, cut: int) -> None:
    await owner.execute(
        "insert into report.branches (cut_id, project, stream, branch, state, settled, text, tests, failing, flaky, "
        "skipped, missing, reasons) values ($1, 'netdev', 'net-next', $2, 'red', true, $3, 4, 1, 1, 1, '{}', $4)",
        older, OLDER, f"{OLDER} (tests: 4, failing: 1)",
        [{"rule": "failing", "text": "metal/vmksft-net: 1 failing: selftests-net/fib_tests.sh"}],
    )  # fmt: skip
    for series, context, state, settled, text, at in (
        (good, "apply", "success", True, "applied to net-next", None),
        (good, "contest", "pending", False, f"{OLDER} (tests: 4, failing: 1)", older),
        (conflicting, "contest", "fail", False, "Conflicts with pending/net patches", cut),
    ):
        await owner.execute(
            "insert into report.verdicts (series_id, revision, context, project, state, settled, text, cut_id) "
            "values ($1, 1, $2, 'netdev', $3, $4, $5, $6)", series, context, state, settled, text, at,
        )  # fmt: skip
    patch = await owner.fetchval("select id from ingest.patches where series_id = $1 and number = 1", good)
    await owner.execute(
        "insert into report.posts (project, channel, series_id, patch_id, external_patch, context, state, text, mode, "
        "status, found) values ('netdev', 'patchwork', $1, $2, 5, 'contest', 'pending', $3, 'shadow', 'shadowed', $4)",
        good, patch, f"{OLDER} (tests: 4, failing: 1)", "netdev-bot: success all is well",
    )  # fmt: skip


async def _around(floor: Floor, owner: Pool, now: datetime, old: int, cut: int) -> None:
    """Health, pauses, queues, trees, hosts, events."""
    await owner.execute("insert into floor.pauses values ('post', 'netdev', 'the mail server is moving', 'ann', now())")
    for room, name, ok, text in (
        ("ingest", "patchwork netdevbpf", True, "200 in 0.4 s"),
        ("branch", "tree net", False, "could not resolve example.org"),
        ("executor", "host vm1", False, "root@192.0.2.7: connection refused"),
    ):
        await owner.execute(
            "insert into floor.health (room, name, project, ok, text) values ($1, $2, 'netdev', $3, $4)",
            room, name, ok, text,
        )  # fmt: skip
    await owner.execute(
        "insert into executor.hosts (remote, executor, address, label, state, reason) values "
        "('metal', 'vmksft-net', 'root@192.0.2.7', 'vm1', 'broken', 'root@192.0.2.7 does not answer')"
    )
    await owner.execute("insert into branch.trees values ('netdev', 'net', $1, now(), now())", sha("9"))
    await owner.execute(
        "insert into branch.conflicts values ('netdev', 'net-next', 'bpf', $1, $2, '{net/core/filter.c}', now())",
        sha("1"), sha("2"),
    )  # fmt: skip
    await owner.execute("insert into floor.queues (name, types) values ('report', '{}')")
    await owner.execute(
        "insert into floor.processes (id, rooms, host, pid, resident) values "
        "('x', '{ingest,report}', 'secret-host', 17, 88000000)"
    )
    async with owner.acquire() as conn, conn.transaction():
        await stage(conn, "branch", a_branch_cut(cut), TreeMoved(project="netdev", tree="net", head=sha("9")))
        await stage(conn, "ingest", an_arrival(old))


def an_arrival(series: int, title: str = "net: x") -> SeriesArrived:
    return SeriesArrived(
        project="netdev", series=series, revision=1, message_id="x@example.org", title=title, author="Jane", patches=2
    )


def a_branch_cut(cut: int) -> BranchCut:
    return BranchCut(
        project="netdev", cut=cut, stream="net-next", branch=BRANCH, commit=sha("c"), base=sha("b"),
        purpose=Purpose.SCHEDULED, slot=datetime.now(UTC), public_url=URL, taken=1, left_out=2,
    )  # fmt: skip


@asynccontextmanager
async def served(floor: Floor, extra: Callable[[web.Application], Any] | None = None) -> AsyncIterator[str]:
    """The front over `floor`, listening; gives its address. Ends as a room ends, by cancelling."""
    up = asyncio.Event()
    task = asyncio.ensure_future(serve(floor, up.set, extra))
    waiting = asyncio.ensure_future(up.wait())
    async with asyncio.timeout(20):
        await asyncio.wait([task, waiting], return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        waiting.cancel()
        await task
    try:
        yield f"http://{floor.settings.web.listen}"
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
