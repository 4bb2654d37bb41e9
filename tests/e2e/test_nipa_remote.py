"""A remote in NIPA's shape, through running ingest and report: its files, written by hand, on our pages and in our API.

Two executors, a retry, a crash, a device, subtests; and a lab that is started by our own branches.json.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp.test_utils import unused_port

from services.ingest.api import LabDoor
from services.ingest.app import IngestRoom
from services.report.app import ReportRoom
from shared.db.outbox import stage
from shared.db.pool import Pool
from shared.events import BranchCut
from shared.model.results import Purpose
from shared.practice.nipa_remote import NipaRemote, Player, served_remote
from shared.settings import parse
from tests.conftest import Database, FloorFor
from tests.services.report.web.builders import URL, a_cut, sha

CONFIG = """
data = "{data}"
[web]
listen = "127.0.0.1:{port}"
[disk]
free = 0
[outgoing]
allow_private = ["127.0.0.0/8"]
[projects.netdev]
post = "off"
[projects.netdev.trees.net-next]
git = "https://example.org/net-next.git"
[projects.netdev.streams.net-next]
tree = "net-next"
push = "/dev/null"
public = "https://github.com/linux-netdev/testing.git"
[[remotes]]
name = "nipa-lab"
report = true
streams = ["net-next"]
executors = ["vmksft-net", "cx7-drv"]
manifest = "{manifest}"
poll = "100ms"
"""

VMKSFT = """{"executor":"vmksft-net","branch":"%(branch)s","start":"%(start)s","end":"%(end)s",
 "link":"https://lab.example.org/vm/1234/",
 "results":[
  {"test":"tls","group":"selftests-net","result":"fail","retry":"pass","time":93.4,"link":"https://lab.example.org/vm/1234/1-tls/",
   "results":[{"test":"12-gcm.send","result":"fail","retry":"pass","time":1},{"test":"13-sm4.send","result":"skip"}]},
  {"test":"fib-tests-sh","group":"selftests-net","result":"fail","retry":"fail","time":12.3,"link":"https://lab.example.org/vm/1234/2-fib/",
   "crashes":["fib6_walk:fib6_clean:fib6_run_gc:addrconf_ifdown:notifier_call_chain"]},
  {"test":"udpgro-sh","group":"selftests-net","result":"PASS","time":4.5}]}"""

CX7 = """{"executor":"cx7-drv","branch":"%(branch)s","start":"%(start)s","end":"%(end)s",
 "device":"{\\"driver\\": \\"mlx5_core\\", \\"fw\\": \\"28.43\\"}",
 "results":[{"test":"ping-py","group":"selftests-drivers-net","result":"pass","link":"https://lab.example.org/cx7/9/",
             "results":[{"test":"test-v4","result":"pass"},{"test":"test-v6","result":"pass"}]},
            {"test":"tso-py","group":"selftests-drivers-net","result":"skip"}]}"""


@dataclass
class Town:
    """Everything that runs: the remote, ingest and report, a client of the pages."""

    remote: NipaRemote
    owner: Pool
    http: aiohttp.ClientSession
    branch: str
    slot: datetime

    async def get(self, path: str) -> Any:
        async with self.http.get(path) as answer:
            assert answer.status == 200, (path, await answer.text())
            return await (answer.json() if "json" in answer.content_type else answer.text())

    async def until(self, look: Callable[[], Awaitable[Any]]) -> Any:
        async with asyncio.timeout(60):
            while not (found := await look()):
                await asyncio.sleep(0.05)
            return found

    async def runs(self) -> dict[str, Any]:
        """What the branch's page has of each executor."""
        return {run["executor"]: run for run in (await self.get(f"/branch/{self.branch}.json"))["runs"]}

    async def done(self, *executors: str) -> dict[str, Any]:
        """The same, once all `executors` are through and counted."""

        async def look() -> dict[str, Any] | None:
            runs = await self.runs()
            through = [e for e in executors if runs.get(e, {}).get("tests") is not None]
            return runs if len(through) == len(executors) else None

        return dict(await self.until(look))

    def times(self) -> dict[str, str]:
        start = self.slot + timedelta(minutes=5)
        return {"branch": self.branch, "start": str(start), "end": str(start + timedelta(minutes=40))}


@pytest.fixture
async def town(database: Database, floor_for: FloorFor, tmp_path: Path) -> AsyncIterator[Town]:
    folder = tmp_path / "remote"
    folder.mkdir()
    slot = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(hours=1)
    branch = f"net-next-{slot:%Y-%m-%d--%H-%M}"
    owner = await database.pool()
    async with served_remote(folder) as remote:
        config = CONFIG.format(data=tmp_path, port=unused_port(), manifest=remote.manifest)
        settings = parse(config)
        ingest, report = await floor_for("ingest", settings), await floor_for("report", settings)
        await announce(owner, branch, slot)
        # Served elsewhere: here nobody posts.
        async with working(IngestRoom(ingest, LabDoor("ingest")).run), working(ReportRoom(report).run):
            async with aiohttp.ClientSession(f"http://{settings.web.listen}") as http:
                yield Town(remote, owner, http, branch, slot)


async def announce(owner: Pool, branch: str, slot: datetime) -> None:
    cut = await a_cut(owner, branch, slot)
    event = BranchCut(
        project="netdev", cut=cut, stream="net-next", branch=branch, commit=sha("c"), base=sha("b"),
        purpose=Purpose.SCHEDULED, slot=slot, public_url=URL, taken=0, left_out=0,
    )  # fmt: skip
    async with owner.acquire() as conn, conn.transaction():
        await stage(conn, "branch", event)


@asynccontextmanager
async def working(run: Callable[[Callable[[], None]], Awaitable[Any]]) -> AsyncIterator[None]:
    up = asyncio.Event()
    task = asyncio.ensure_future(run(up.set))
    try:
        async with asyncio.timeout(30):
            await up.wait()
        yield
        assert not task.done(), "the room broke"
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_a_nipa_remote_shows_right(town: Town) -> None:
    town.remote.list_as([{"url": None, "branch": town.branch, "executor": name} for name in ("vmksft-net", "cx7-drv")])
    await town.until(lambda: has_all(town, "open"))
    runs = await town.runs()
    assert {run["word"] for run in runs.values()} == {"running"}
    assert runs["vmksft-net"]["expected_end"] == (town.slot + timedelta(hours=3)).isoformat()

    for name, text, file in (("vmksft-net", VMKSFT, "results-29.json"), ("cx7-drv", CX7, "results-30.json")):
        town.remote.write(file, text % town.times())
        entries = [
            e | {"url": f"{town.remote.url}/{file}"} if e["executor"] == name else e for e in town.remote.entries()
        ]
        town.remote.list_as(entries)
    runs = await town.done("vmksft-net", "cx7-drv")
    vm, cx7 = runs["vmksft-net"], runs["cx7-drv"]
    assert (vm["word"], vm["tests"], vm["passed"], vm["failed"], vm["flaky"]) == ("fail", 3, 2, 1, 1)
    assert (cx7["word"], cx7["tests"], cx7["passed"], cx7["skipped"]) == ("pass", 2, 1, 1)
    assert vm["ended"] == (town.slot + timedelta(minutes=45)).isoformat()
    assert vm["counts"] is True

    await the_run_page(town, vm["id"])
    await the_contest(town)
    await the_remote(town)
    assert await town.owner.fetchval("select count(*) from floor.events where type like '%.run.done.%'") == 2
    device = await town.owner.fetchval("select device from ledger.runs where id = $1", cx7["id"])
    assert device == {"driver": "mlx5_core", "fw": "28.43"}


async def has_all(town: Town, state: str) -> bool:
    runs = await town.runs()
    return len(runs) >= 2 and all(run["state"] == state for run in runs.values())


async def the_run_page(town: Town, run: int) -> None:
    data = await town.get(f"/run/{run}.json")
    tests = {test["test"]: test for test in data["tests"]}
    assert (tests["tls"]["standing"], tests["tls"]["flaky"]) == ("pass", True)
    assert [try_["result"] for try_ in tests["tls"]["attempts"]] == ["fail", "pass"]
    assert tests["fib-tests-sh"]["crashes"] == ["fib6_walk:fib6_clean:fib6_run_gc:addrconf_ifdown:notifier_call_chain"]
    page = await town.get(f"/run/{run}")
    assert "12-gcm.send" in page
    assert "fib6_walk:fib6_clean" in page


async def the_contest(town: Town) -> None:
    rows = (await town.get("/contest.json?branch=" + town.branch))["rows"]
    found = {(row["executor"], row["test"]): (row["result"], row["retry"]) for row in rows}
    assert found == {
        ("vmksft-net", "tls"): ("fail", "pass"),
        ("vmksft-net", "fib-tests-sh"): ("fail", "fail"),
        ("vmksft-net", "udpgro-sh"): ("pass", None),
        ("cx7-drv", "ping-py"): ("pass", None),
        ("cx7-drv", "tso-py"): ("skip", None),
    }


async def the_remote(town: Town) -> None:
    data = await town.get("/api/v1/remotes/nipa-lab")
    assert (data["remote"]["standing"], data["remote"]["behind"], data["remote"]["open"]) == ("well", 0, 0)
    assert data["manifest"] | {"polled": None} == {
        "polled": None, "entries": 2, "others": 0, "bad": 0, "warnings": 0, "trouble": "", "since": None,
    }  # fmt: skip
    assert [e["last"]["branch"] for e in data["executors"]] == [town.branch] * 2


async def test_a_lab_started_by_our_branches_json_comes_all_the_way_round(town: Town) -> None:
    follow = str(town.http._base_url) + "/branches.json"
    said: list[str] = []
    player = Player(town.remote, follow, ["vmksft-net", "cx7-drv"], 0.2, said.append)
    task = asyncio.ensure_future(player.run(0.1))
    try:
        runs = await town.done("vmksft-net", "cx7-drv")
    finally:
        task.cancel()
    assert {run["tests"] for run in runs.values()} == {5}
    assert said == [f"testing {town.branch}", f"published {town.branch}"]


async def test_a_remote_that_misbehaves_for_a_while_loses_nothing(town: Town) -> None:
    """Each trouble in its turn, while two runs come and end; in the end both are there, and once."""
    town.remote.running("vmksft-net", town.branch)
    troubles: tuple[tuple[str, dict[str, Any], str], ...] = (
        ("status", {"status": 502}, "answers 502"),
        ("html", {}, "not JSON"),
        ("truncated", {}, "not JSON"),
        ("huge", {"size": 8 << 20}, "is over"),
        ("moved", {"where": "http://192.168.1.1/results.json"}, "private network"),
    )
    for kind, more, words in troubles:
        town.remote.misbehave(kind, name="results.json", **more)
        await town.until(partial(trouble_is, town, words))
        town.remote.calm()
        await town.until(partial(trouble_is, town, None))
    town.remote.write("results-29.json", VMKSFT % town.times())
    town.remote.list_as(
        [{"url": f"{town.remote.url}/results-29.json", "branch": town.branch, "executor": "vmksft-net"}]
    )
    town.remote.finished(json.loads(CX7 % town.times()))
    await town.done("vmksft-net", "cx7-drv")
    assert await town.owner.fetchval("select count(*) from ledger.runs") == 2
    # Told once each: what lay in the lab's own files.
    assert await town.owner.fetchval("select count(*) from ingest.rejections") == 3


async def trouble_is(town: Town, words: str | None) -> bool:
    trouble = (await town.get("/api/v1/remotes/nipa-lab"))["remote"]["trouble"]
    return words in trouble if words else not trouble


async def test_query_results_says_the_same(town: Town) -> None:
    """What NIPA's own pages ask for, of what came in NIPA's shape."""
    for text, file in ((VMKSFT, "results-29.json"), (CX7, "results-30.json")):
        town.remote.finished(json.loads(text % town.times()), file)
    await town.done("vmksft-net", "cx7-drv")
    found = {run["executor"]: run for run in await town.get(f"/query/results?branch-name={town.branch}&format=l2")}
    assert {"vmksft-net", "cx7-drv"} <= set(found)
    vm = found["vmksft-net"]
    assert (vm["remote"], vm["branch"]) == ("nipa-lab", town.branch)
    assert datetime.fromisoformat(vm["start"]) == town.slot + timedelta(minutes=5)
    rows = {row["test"]: row for row in vm["results"]}
    assert rows["fib-tests-sh"]["crashes"] == ["fib6_walk:fib6_clean:fib6_run_gc:addrconf_ifdown:notifier_call_chain"]
    assert (rows["fib-tests-sh"]["result"], rows["udpgro-sh"]["result"]) == ("fail", "pass")
    assert {"tls.12-gcm.send", "tls.13-sm4.send"} <= set(rows)
    normal = {run["executor"]: run for run in await town.get(f"/query/results?branch-name={town.branch}")}
    tests = {row["test"]: row for row in normal["vmksft-net"]["results"]}
    assert (tests["tls"]["result"], tests["tls"]["retry"]) == ("fail", "pass")
    assert "nipa-lab" in await town.get("/query/remotes")
    [device] = await town.get("/query/device-info")
    assert (device["executor"], json.loads(device["info"])["driver"]) == ("cx7-drv", "mlx5_core")
