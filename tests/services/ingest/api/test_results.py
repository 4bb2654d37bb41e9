"""A whole run in one request: all of it or nothing, once however often it comes, in every format."""

import asyncio
import json
import zlib
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from shared.clock import wall
from shared.db.pool import Pool
from tests.conftest import Database, FloorFor
from tests.services.ingest.api.lab import BRANCH, Lab, a_branch, a_document, a_token, served, settings


@pytest.fixture
async def owner(database: Database) -> Pool:
    return await database.pool()


@pytest.fixture
async def lab(owner: Pool, floor_for: FloorFor) -> AsyncIterator[Lab]:
    await a_branch(owner)
    token = await a_token(owner, ["results:write:cx7-*"])
    async with served(await floor_for("ingest", settings()), token) as lab:
        yield lab


async def counts(owner: Pool) -> tuple[int, int, int, int]:
    """Runs, cases, RunStarted and RunDone."""
    events = "(select type from floor.outbox union all select type from floor.events) e where type like '%run.{}%'"
    return (
        await owner.fetchval("select count(*) from ledger.runs"),
        await owner.fetchval("select count(*) from ledger.cases"),
        await owner.fetchval(f"select count(*) from {events.format('started')}"),
        await owner.fetchval(f"select count(*) from {events.format('done')}"),
    )


async def test_a_whole_run_is_stored_closed_and_told_once(lab: Lab, owner: Pool) -> None:
    began, ended = wall() - timedelta(hours=2), wall() - timedelta(hours=1)
    document = a_document(3, 2, started=began.isoformat(), ended=ended.isoformat(), link="https://lab.example/1")
    document["cases"][0] |= {"result": "fail", "cause": "crash", "crashes": ["BUG: a"], "link": "https://lab.example/t"}
    document["cases"][1]["cases"][0] |= {"result": "skip", "detail": "no such device"}
    status, told = await lab.post("results", document)
    assert (status, told["state"], told["counts"]) == (201, "done", {"pass": 2, "fail": 1, "flaky": 0})
    assert await counts(owner) == (1, 9, 1, 1)
    rows = await owner.fetch("select * from ledger.cases_v where result <> 'pass' order by test")
    assert [(r["test"], r["subtest"], r["result"], r["cause"], r["crashes"], r["link"], r["detail"]) for r in rows] == [
        ("t0", "", "fail", "crash", ["BUG: a"], "https://lab.example/t", ""),
        ("t1", "case_0", "skip", None, [], "", "no such device"),
    ]
    run = await owner.fetchrow("select started, ended, closed from ledger.runs")
    assert run is not None
    assert (run["started"], run["ended"]) == (began, ended)
    assert run["closed"] > ended


async def test_the_same_again_is_found_and_another_is_refused(lab: Lab, owner: Pool) -> None:
    _, first = await lab.post("results", a_document())
    assert await lab.post("results", a_document()) == (200, first)
    status, told = await lab.post("results", a_document(5))
    assert (status, "attempt" in told["detail"]) == (409, True)
    status, third = await lab.post("results", a_document(5, attempt=1))
    assert (status, third["run"] != first["run"]) == (201, True)
    assert (await counts(owner))[0] == 2


@pytest.mark.parametrize("key", ["", "the-key"])
async def test_the_same_at_once_is_one_run(lab: Lab, owner: Pool, key: str) -> None:
    headers = {"Idempotency-Key": key} if key else {}
    answers = await asyncio.gather(*(lab.post("results", a_document(40, 5), headers=headers) for _ in range(5)))
    good = [told["run"] for status, told in answers if status in (200, 201)]
    assert {status for status, _ in answers} <= {200, 201, 409}
    assert len(set(good)) == 1
    assert await counts(owner) == (1, 240, 1, 1)


async def test_a_key_holds_its_answer(lab: Lab, owner: Pool) -> None:
    headers = {"Idempotency-Key": "0b5d"}
    first = await lab.post("results", a_document(), headers=headers)
    assert await lab.post("results", a_document(), headers=headers) == first
    status, told = await lab.post("results", a_document(3), headers=headers)
    assert (status, "another request" in told["detail"]) == (422, True)
    assert (await lab.post("results", a_document(), headers={"Idempotency-Key": "k" * 201}))[0] == 400
    assert (await counts(owner))[0] == 1


async def test_a_key_of_a_running_request_is_told_to_wait(lab: Lab, owner: Pool) -> None:
    async with owner.acquire() as conn, conn.transaction():
        await conn.execute("select pg_advisory_xact_lock(7306, hashtext('metal' || E'\\n' || 'busy'))")
        status, told = await lab.post("results", a_document(), headers={"Idempotency-Key": "busy"})
        assert (status, "just now" in told["detail"]) == (409, True)
    assert (await lab.post("results", a_document(), headers={"Idempotency-Key": "busy"}))[0] == 201


async def test_what_was_refused_may_come_mended_under_its_key(lab: Lab) -> None:
    headers = {"Idempotency-Key": "again"}
    assert (await lab.post("results", a_document(branch="nope"), headers=headers))[0] == 422
    assert (await lab.post("results", a_document(), headers=headers))[0] == 201


async def test_keys_of_two_remotes_are_apart(lab: Lab, owner: Pool) -> None:
    headers = {"Idempotency-Key": "1"}
    first = await lab.post("results", a_document(), headers=headers)
    lab.token = await a_token(owner, remote="wood")
    other = await lab.post("results", a_document(), headers=headers)
    assert (first[0], other[0]) == (201, 201)
    assert first[1]["run"] != other[1]["run"]


@pytest.mark.parametrize(
    ("spoil", "pointer"),
    [
        (lambda d: d["cases"][1].update(result="passed"), "/cases/1/result"),
        (lambda d: d["cases"][1].update(seconds="1"), "/cases/1/seconds"),
        (lambda d: d["cases"][1].update(test="x" * 513), "/cases/1/test"),
        (lambda d: d["cases"][1].update(extra=1), "/cases/1/extra"),
        (lambda d: d["cases"][0]["cases"][0].pop("result"), "/cases/0/cases/0/result"),
        (lambda d: d["cases"].append(d["cases"][0]), "/cases/2"),
        (lambda d: d.update(ended=(wall() + timedelta(hours=1)).isoformat()), "/ended"),
        (lambda d: d.update(started="2026-01-02T00:00:00Z", ended="2026-01-01T00:00:00Z"), "/ended"),
        (lambda d: d.update(branch="net-next-1999-01-01--00-00"), "/branch"),
        (lambda d: d.update(series="a@b"), "/series"),
    ],
)
async def test_nothing_is_half_stored(lab: Lab, owner: Pool, spoil: Any, pointer: str) -> None:
    document = a_document()
    spoil(document)
    status, told = await lab.post("results", document)
    wanted = 422 if pointer == "/branch" else 400
    assert (status, told["errors"][0]["pointer"]) == (wanted, pointer), told
    assert told["type"] == "about:blank"
    assert await counts(owner) == (0, 0, 0, 0)
    kept = await owner.fetchrow("select * from ingest.rejections")
    assert kept is not None
    assert (kept["remote"], kept["status"], kept["errors"][0]["pointer"]) == ("metal", wanted, pointer)
    assert kept["size"] == len(json.dumps(document))


async def test_fifty_faults_are_told_at_once(lab: Lab) -> None:
    document = a_document(0) | {"cases": [{"group": "g", "test": f"t{n}", "result": "okay"} for n in range(99)]}
    status, told = await lab.post("results", document)
    assert (status, len(told["errors"])) == (400, 50)


async def test_rejections_are_kept_within_bounds(lab: Lab, owner: Pool) -> None:
    await owner.execute("insert into ingest.rejections (remote, path, status, detail) "
                        "select 'metal', '/', 400, 'old' from generate_series(1, 600)")  # fmt: skip
    assert (await lab.post("results", b"{"))[0] == 400
    assert await owner.fetchval("select count(*) from ingest.rejections") == 500
    assert await owner.fetchval("select count(*) from ingest.rejections where detail <> 'old'") == 1


async def test_bodies_may_come_packed(lab: Lab) -> None:
    data = zlib.compress(json.dumps(a_document()).encode())
    assert (await lab.post("results", data, headers={"Content-Encoding": "deflate"}))[0] == 201
    assert (await lab.post("results", data, headers={"Content-Encoding": "br"}))[0] == 415


NIPA = {
    "branch": BRANCH, "executor": "ignored", "start": "2026-08-20 12:05:01.1+00:00", "end": "2026-08-20 12:09:01+00:00",
    "link": "https://lab.example/nipa",
    "results": [{"test": "t1", "group": "selftests-net", "result": "fail", "retry": "pass", "link": "https://l.example/1"}],
}  # fmt: skip
JUNIT = b"""<testsuite name="net"><testcase classname="tls" name="a"/><testcase classname="tls" name="b">
<failure message="no">x</failure></testcase></testsuite>"""
KTAP = b"TAP version 13\n1..2\nok 1 selftests: net: tls.sh\nnot ok 2 selftests: net: udp.sh # exit=1\n"


@pytest.mark.parametrize(
    ("data", "kind", "query", "wanted"),
    [
        (json.dumps(NIPA).encode(), "application/json", "format=nipa&executor=cx7-drv", {"pass": 1, "flaky": 1}),
        (JUNIT, "application/xml", "", {"pass": 1, "fail": 1, "flaky": 0}),
        (KTAP, "text/plain", "", {"pass": 1, "fail": 1, "flaky": 0}),
    ],
)
async def test_other_formats(lab: Lab, owner: Pool, data: bytes, kind: str, query: str, wanted: Any) -> None:
    where = f"results?branch={BRANCH}&executor=cx7-drv&link=https://l.example/x&{query}".replace(
        "&executor=cx7-drv&executor", "&executor"
    )
    for wanted_status in (201, 200):
        status, told = await lab.post(where, data, headers={"Content-Type": kind})
        assert (status, told["counts"]) == (wanted_status, wanted), told
    assert await owner.fetchval("select link from ledger.runs") == "https://l.example/x"


async def test_formats_that_do_not_name_their_place(lab: Lab) -> None:
    status, told = await lab.post("results", KTAP, headers={"Content-Type": "text/plain"})
    assert (status, [e["pointer"] for e in told["errors"]]) == (400, ["/executor", "/branch"])
    status, told = await lab.post("results?format=csv", KTAP, headers={"Content-Type": "text/plain"})
    assert (status, "junit" in told["detail"]) == (415, True)
    bad = f"results?branch={BRANCH}&executor=cx7-drv&started=yesterday"
    status, told = await lab.post(bad, KTAP, headers={"Content-Type": "text/plain"})
    assert (status, told["errors"][0]["pointer"]) == (400, "/started")
    typo = f"results?branch={BRANCH}&executor=cx7-drv&atempt=1"
    status, told = await lab.post(typo, KTAP, headers={"Content-Type": "text/plain"})
    assert (status, told["detail"].partition(";")[0]) == (400, "atempt: no such parameter")


async def test_an_entity_in_xml_is_refused(lab: Lab) -> None:
    bomb = b'<!DOCTYPE a [<!ENTITY x "xxxxxxxxxx"><!ENTITY y "&x;&x;&x;&x;">]><testsuite name="&y;"/>'
    where = f"results?branch={BRANCH}&executor=cx7-drv"
    status, told = await lab.post(where, bomb, headers={"Content-Type": "text/xml"})
    assert (status, told["status"]) == (400, 400)
