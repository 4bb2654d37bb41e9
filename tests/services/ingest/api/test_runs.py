"""A run told of as it goes: every call, twice, too late, and by those who may not."""

import asyncio
import gzip
import hashlib
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
import yarl

from services.ingest.api.runs import OPEN
from shared.clock import wall
from shared.db.pool import Pool
from tests.conftest import Database, FloorFor
from tests.services.ingest.api.lab import BRANCH, Lab, a_branch, a_token, served, settings


@pytest.fixture
async def owner(database: Database) -> Pool:
    return await database.pool()


@pytest.fixture
async def lab(owner: Pool, floor_for: FloorFor) -> AsyncIterator[Lab]:
    """Of the remote ``metal``, for executors ``cx7-*``; the branch is announced."""
    await a_branch(owner)
    token = await a_token(owner, ["results:write:cx7-*"])
    async with served(await floor_for("ingest", settings()), token) as lab:
        yield lab


async def staged(owner: Pool) -> list[str]:
    rows = await owner.fetch(
        "select type from (select id::text, type, 0 as at from floor.outbox union all "
        "select id::text, type, sequence from floor.events) e order by at, id"
    )
    return sorted(r["type"].split(".")[-2] for r in rows)


def two(*results: str) -> dict[str, Any]:
    return {"cases": [{"group": "g", "test": f"t{n}", "result": word} for n, word in enumerate(results)]}


async def test_a_run_from_start_to_finish(lab: Lab, owner: Pool) -> None:
    end = (wall() + timedelta(hours=1)).isoformat()
    status, run = await lab.post(
        "runs",
        {"branch": BRANCH, "executor": "cx7-drv", "expected_end": end, "planned": 2, "link": "https://lab.example/7",
         "device": {"nic": "cx7"}, "facts": {"kernel_commit": "a" * 40}},
    )  # fmt: skip
    assert (status, run["state"], run["branch"], run["remote"]) == (201, "open", BRANCH, "metal")
    assert run["deadline"] >= end
    assert run["url"] == f"https://ci.example.org/run/{run['run']}"
    one = f"runs/{run['run']}"
    assert await lab.post(f"{one}/cases", two("pass", "fail")) == (200, {
        "run": run["run"], "taken": 2, "known": 0, "deadline": run["deadline"],
    })  # fmt: skip
    status, state = await lab.ask("GET", f"/api/v1/lab/{one}")
    assert (status, state["cases"], state["planned"]) == (200, 2, 2)
    status, done = await lab.post(f"{one}/finish")
    assert (status, done["state"], done["counts"]) == (200, "done", {"pass": 1, "fail": 1, "flaky": 0})
    row = await owner.fetchrow("select visibility, trial, device, link, kernel_commit from ledger.runs")
    assert row is not None
    assert tuple(row) == ("public", False, {"nic": "cx7"}, "https://lab.example/7", "a" * 40)
    assert await staged(owner) == ["done", "progress", "started"]
    assert await owner.fetchval("select executor from ingest.heard where branch = $1", BRANCH) == "cx7-drv"


async def test_everything_may_come_twice(lab: Lab, owner: Pool) -> None:
    run = await lab.begin()
    assert await lab.begin() == run
    for taken in (2, 0):
        status, told = await lab.post(f"runs/{run}/cases", two("pass", "fail"))
        assert (status, told["taken"]) == (200, taken)
    for _ in range(2):
        status, told = await lab.post(f"runs/{run}/finish")
        assert (status, told["state"]) == (200, "done")
    assert (await staged(owner)).count("done") == 1
    assert await owner.fetchval("select count(*) from ledger.cases") == 2


async def test_what_comes_for_a_closed_run_is_told_so(lab: Lab) -> None:
    run = await lab.begin()
    await lab.post(f"runs/{run}/abandon", {"reason": "the DUT caught fire"})
    for call, body in (("cases", two("pass")), ("heartbeat", {}), ("finish", {})):
        status, told = await lab.post(f"runs/{run}/{call}", body)
        assert (status, "caught fire" in told["detail"]) == (409, True)
    status, _ = await lab.ask("PUT", f"/api/v1/lab/runs/{run}/artifacts/log", data=b"x")
    assert status == 409
    assert (await lab.post(f"runs/{run}/abandon"))[0] == 200
    status, told = await lab.post("runs", {"branch": BRANCH, "executor": "cx7-drv"})
    assert (status, "attempt" in told["detail"]) == (409, True)
    assert await lab.begin(attempt=1) != run


async def test_a_heartbeat_moves_the_end_and_not_too_far(lab: Lab) -> None:
    run = await lab.begin()
    later = wall() + timedelta(hours=20)
    status, told = await lab.post(f"runs/{run}/heartbeat", {"expected_end": later.isoformat(), "planned": 9})
    assert (status, told["planned"]) == (200, 9)
    assert told["deadline"] >= later.isoformat()
    for when, words in ((timedelta(hours=25), "24 hours"), (-timedelta(hours=1), "is over")):
        status, told = await lab.post(f"runs/{run}/heartbeat", {"expected_end": (wall() + when).isoformat()})
        assert (status, told["errors"][0]["pointer"]) == (422, "/expected_end")
        assert words in told["errors"][0]["detail"]


@pytest.mark.parametrize(
    ("change", "status", "pointer"),
    [
        ({"branch": "net-next-1999-01-01--00-00"}, 422, "/branch"),
        ({"branch": None}, 400, "/branch"),
        ({"series": "x@y"}, 400, "/branch"),
        ({"executor": "cx7 drv"}, 400, "/executor"),
        ({"attempt": "1"}, 400, "/attempt"),
        ({"attempt": 10}, 400, "/attempt"),
        ({"expected_end": "tomorrow"}, 400, "/expected_end"),
        ({"colour": "red"}, 400, "/colour"),
        ({"link": "javascript:alert(1)"}, 400, "/link"),
        ({"executor": "wood"}, 403, None),
        ({"branch": "sandbox"}, 422, "/branch"),
    ],
)
async def test_a_start_that_is_wrong_says_where(lab: Lab, change: Any, status: int, pointer: str | None) -> None:
    got, told = await lab.post("runs", {"branch": BRANCH, "executor": "cx7-drv"} | change)
    assert got == status, told
    assert [e["pointer"] for e in told.get("errors", [])][:1] == ([pointer] if pointer else [])


async def test_branches_that_are_none_of_a_labs_business(lab: Lab, owner: Pool) -> None:
    await a_branch(owner, "old", age=timedelta(days=8))
    await a_branch(owner, "try-1", purpose="try")
    await a_branch(owner, "planned")
    await owner.execute("update branch.cuts set announced = null where name = 'planned'")
    said = {}
    for name in ("old", "try-1", "planned", "never"):
        status, told = await lab.post("runs", {"branch": name, "executor": "cx7-drv"})
        said[name] = told["errors"][0]["detail"].replace(name, "X")
        assert (status, told["errors"][0]["pointer"]) == (422, "/branch")
    assert "7 days" in said["old"]
    assert said["try-1"] == said["planned"] == said["never"]


async def test_two_starts_at_once_are_one_run(lab: Lab, owner: Pool) -> None:
    assert len(set(await asyncio.gather(*(lab.begin() for _ in range(6))))) == 1
    assert await owner.fetchval("select count(*) from ledger.runs") == 1


async def test_too_many_new_names_in_a_day(owner: Pool, floor_for: FloorFor) -> None:
    await a_branch(owner)
    async with served(await floor_for("ingest", settings(new_names=5)), await a_token(owner)) as lab:
        run = await lab.begin()
        assert (await lab.post(f"runs/{run}/cases", two("pass", "pass")))[0] == 200
        status, told = await lab.post(f"runs/{run}/cases", two(*["pass"] * 9))
        assert (status, "5 a day" in told["detail"]) == (429, True)
        assert (await lab.post(f"runs/{run}/cases", two("pass", "pass", "skip")))[0] == 200
    assert await owner.fetchval("select count(*) from ledger.cases") == 3


async def test_a_run_has_an_end_however_small_its_batches(owner: Pool, floor_for: FloorFor) -> None:
    await a_branch(owner)
    async with served(await floor_for("ingest", settings(cases=2)), await a_token(owner)) as lab:
        run = await lab.begin()

        async def add(first: int) -> int:
            cases = [{"group": "g", "test": f"t{n}", "result": "pass"} for n in (first, first + 1)]
            return (await lab.post(f"runs/{run}/cases", {"cases": cases}))[0]

        assert [await add(n) for n in (0, 2, 4, 6)] == [200] * 4
        # What stands already may still come again.
        assert (await add(8), await add(0), await add(7)) == (413, 200, 413)
        assert await owner.fetchval("select count(*) from ledger.cases") == 8


async def test_a_file_is_kept_by_what_is_in_it(lab: Lab, owner: Pool) -> None:
    run = await lab.begin()
    data = b"dmesg\n" * 100_000
    path = f"/api/v1/lab/runs/{run}/artifacts/"
    status, told = await lab.ask("PUT", path + "dmesg/boot.txt", data=data)
    assert (status, told) == (201, {
        "name": "dmesg/boot.txt", "sha256": hashlib.sha256(data).hexdigest(), "size": len(data)})  # fmt: skip
    status, again = await lab.ask(
        "PUT", path + "packed", data=gzip.compress(data), headers={"Content-Encoding": "gzip"}
    )
    assert (status, again["sha256"]) == (201, told["sha256"])
    _, state = await lab.ask("GET", f"/api/v1/lab/runs/{run}")
    assert [a["name"] for a in state["artifacts"]] == ["dmesg/boot.txt", "packed"]
    assert await owner.fetchval("select count(*) from floor.blobs where visibility = 'public'") == 1


@pytest.mark.parametrize("name", ["%2e%2e/x", "a/%2e%2e/b", "%2Fetc", "a//b", "%00", "a%0Ab", "x" * 201, "a%5Cb", "a/"])
async def test_names_that_are_no_names_of_files(lab: Lab, name: str) -> None:
    run = await lab.begin()
    url = yarl.URL(f"{lab.base}/api/v1/lab/runs/{run}/artifacts/{name}", encoded=True)
    headers = {"Authorization": f"Bearer {lab.token}"}
    async with lab.http.put(url, data=b"x", headers=headers) as answer:
        assert answer.status in (400, 404)
    assert (await lab.ask("GET", f"/api/v1/lab/runs/{run}"))[1]["artifacts"] == []


async def test_a_file_over_the_cap_and_a_bomb(owner: Pool, floor_for: FloorFor, tmp_path: Any) -> None:
    await a_branch(owner)
    async with served(await floor_for("ingest", settings(artifact=1 << 20)), await a_token(owner)) as lab:
        path = f"/api/v1/lab/runs/{await lab.begin()}/artifacts/x"
        assert (await lab.ask("PUT", path, data=bytes((1 << 20) + 1)))[0] == 413
        bomb = gzip.compress(bytes(1 << 24))
        assert (await lab.ask("PUT", path, data=bomb, headers={"Content-Encoding": "gzip"}))[0] == 413
        assert (await lab.ask("PUT", path, data=b"no gzip", headers={"Content-Encoding": "gzip"}))[0] == 400
        assert (await lab.ask("PUT", path, data=bomb[:-9], headers={"Content-Encoding": "gzip"}))[0] in (400, 413)
    assert [p for p in (tmp_path / "blobs").rglob("*") if p.is_file()] == []


async def test_a_remote_has_only_so_many_open_runs(lab: Lab, owner: Pool) -> None:
    run = await lab.begin()
    await owner.execute(
        "insert into ledger.runs (day, project, remote, executor, branch, state, cut_id) "
        "select day, project, remote, 'e' || n, branch, state, cut_id from ledger.runs, generate_series(2, $1) n",
        OPEN,
    )
    status, told = await lab.post("runs", {"branch": BRANCH, "executor": "cx7-more"})
    assert (status, "open runs" in told["detail"]) == (429, True)
    # The same again is no other run.
    assert (await lab.begin(), (await lab.post(f"runs/{run}/finish"))[0]) == (run, 200)
    await lab.begin(executor="cx7-more")


async def test_no_file_is_taken_on_a_full_disk(owner: Pool, floor_for: FloorFor) -> None:
    await a_branch(owner)
    full = settings()
    full = full.model_copy(update={"disk": full.disk.model_copy(update={"free": 1 << 60})})
    async with served(await floor_for("ingest", full), await a_token(owner)) as lab:
        run = await lab.begin()
        status, told = await lab.ask("PUT", f"/api/v1/lab/runs/{run}/artifacts/log", data=b"x")
        assert (status, "room" in told["detail"]) == (503, True)
        assert (await lab.post(f"runs/{run}/finish"))[0] == 200


async def test_unknown_keys_are_faults_at_any_depth(lab: Lab) -> None:
    status, told = await lab.post("runs", {"branch": BRANCH, "executor": "cx7-drv", "facts": {"colour": "red"}})
    assert (status, told["errors"][0]["pointer"]) == (400, "/facts/colour")
    run = await lab.begin()
    check = {"context": "a", "state": "success", "colour": "red"}
    status, told = await lab.post(f"runs/{run}/finish", {"checks": [check]})
    assert (status, told["errors"][0]["pointer"]) == (400, "/checks/0/colour")
    status, told = await lab.post(f"runs/{run}/cases", {"cases": [], "colour": "red"})
    assert (status, told["errors"][0]["pointer"]) == (400, "/colour")
