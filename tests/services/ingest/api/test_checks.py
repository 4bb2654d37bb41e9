"""Runs on a series: under which contexts, pending first, settled once, never back."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from services.ingest.api.contexts import fold
from services.ingest.api.desk import LabDesk
from services.ingest.api.reaper import Reaper
from shared.db.pool import Pool
from shared.floor import Floor
from shared.ledger.checks import Speaker, replaces
from shared.model.results import CheckState
from tests.conftest import Database, FloorFor
from tests.services.ingest.api.lab import Lab, a_document, a_series, a_token, served, settings

SERIES = "series-1@example.org"
SCOPES = ["results:write:*", "checks:write:vendor-build"]
FAILING = [{"group": "g", "test": "a", "result": "fail"}]


@pytest.fixture
async def owner(database: Database) -> Pool:
    return await database.pool()


@pytest.fixture
async def floor(floor_for: FloorFor) -> Floor:
    return await floor_for("ingest", settings())


@pytest.fixture
async def lab(owner: Pool, floor: Floor) -> AsyncIterator[Lab]:
    await a_series(owner)
    async with served(floor, await a_token(owner, SCOPES)) as lab:
        yield lab


async def said(owner: Pool) -> list[tuple[Any, ...]]:
    rows = await owner.fetch("select context, patch, state, text from ledger.checks order by context, patch")
    return [tuple(r) for r in rows]


async def told(owner: Pool) -> list[str]:
    rows = await owner.fetch(
        "select body from (select type, body from floor.outbox union all select type, body from floor.events) e "
        "where type = 'dev.netci.check.done.v1'"
    )
    return sorted(r["body"]["data"]["state"] for r in rows)


def on_series(**changes: Any) -> dict[str, Any]:
    document = a_document(series=f"<{SERIES}>", executor="bot") | changes
    del document["branch"]
    return document


async def test_cases_become_a_check_pending_first(lab: Lab, owner: Pool) -> None:
    _, run = await lab.post("runs", {"series": f"p2-{SERIES}", "executor": "bot"})
    assert (run["series"], await said(owner)) == (SERIES, [("vendor-build", 0, "pending", "metal/bot is at it")])
    assert await told(owner) == []
    cases = [{"group": "g", "test": "a", "result": "pass"}, {"group": "g", "test": "b", "result": "fail"}]
    await lab.post(f"runs/{run['run']}/cases", {"cases": cases})
    for _ in range(2):
        await lab.post(f"runs/{run['run']}/finish")
    assert await said(owner) == [("vendor-build", 0, "fail", "tests: 2, failing: 1")]
    assert await told(owner) == ["fail"]


async def test_a_whole_run_says_its_own_checks(lab: Lab, owner: Pool) -> None:
    checks = [
        {"context": "vendor-build", "state": "success", "patch": 1, "description": "builds"},
        {"context": "vendor-build", "state": "warning", "patch": 2, "link": "https://lab.example/2"},
    ]
    assert (await lab.post("results", on_series(checks=checks, cases=[])))[0] == 201
    assert await said(owner) == [("vendor-build", 1, "success", "builds"), ("vendor-build", 2, "warning", "")]
    assert await told(owner) == ["success", "warning"]


async def test_a_settled_check_is_turned_by_a_newer_attempt_or_for_the_better(lab: Lab, owner: Pool) -> None:
    async def post(state: str, **changes: Any) -> str:
        checks = [{"context": "vendor-build", "state": state}]
        status, _ = await lab.post("results", on_series(checks=checks, cases=[], **changes))
        assert status == 201
        return str((await said(owner))[0][2])

    assert await post("fail") == "fail"
    assert await post("pending", attempt=1) == "fail"
    assert await post("warning", executor="second") == "warning"
    assert await post("fail", executor="third") == "warning"
    assert await post("success", attempt=2) == "success"
    assert await post("fail", attempt=3) == "fail"
    assert await told(owner) == ["fail", "fail", "success", "warning"]


async def test_who_may_say_what(lab: Lab, owner: Pool) -> None:
    def one(context: str, patch: int = 1) -> dict[str, Any]:
        return on_series(cases=[], checks=[{"context": context, "state": "success", "patch": patch}])

    assert (await lab.post("results", one("other")))[0] == 403
    for context, patch, pointer in (("apply", 1, "context"), ("contest", 1, "context"), ("a b", 1, "context"),
                                    ("vendor-build", 3, "patch")):  # fmt: skip
        status, answer = await lab.post("results", one(context, patch))
        assert (status, answer["errors"][0]["pointer"]) == (422, f"/checks/0/{pointer}")
    lab.token = await a_token(owner, ["results:write:*"])
    status, answer = await lab.post("results", on_series())
    assert (status, "checks:write" in answer["detail"]) == (403, True)
    lab.token = await a_token(owner, ["results:write:*", "checks:write:a-*"])
    status, answer = await lab.post("runs", {"series": SERIES, "executor": "bot"})
    assert (status, answer["errors"][0]["pointer"]) == (422, "/context")
    assert (await lab.post("runs", {"series": SERIES, "executor": "bot", "context": "a-b"}))[0] == 201
    assert await told(owner) == []


async def test_another_lab_does_not_speak_in_its_place(lab: Lab, owner: Pool) -> None:
    assert (await lab.post("results", on_series()))[0] == 201
    lab.token = await a_token(owner, SCOPES, remote="wood")
    failing = [{"group": "g", "test": "a", "result": "fail"}]
    status, answer = await lab.post("results", on_series(cases=failing))
    assert (status, "another lab" in answer["detail"]) == (403, True)
    assert [s[2] for s in await said(owner)] == ["success"]
    assert await owner.fetchval("select count(*) from ledger.runs") == 1


async def test_a_series_that_is_over_is_told_nothing(lab: Lab, owner: Pool) -> None:
    await owner.execute("update ingest.series set state = 'superseded'")
    for message in (SERIES, "never@example.org"):
        status, answer = await lab.post("runs", {"series": message, "executor": "bot"})
        assert (status, answer["errors"][0]["pointer"]) == (422, "/series")


async def test_what_a_run_says_at_its_end_is_of_what_it_tested(lab: Lab, owner: Pool) -> None:
    """Meanwhile a newer revision has come, the same mail in another project, and the series is over."""
    _, run = await lab.post("runs", {"series": SERIES, "executor": "bot"})
    series = await owner.fetchval("select id from ingest.series")
    other = await a_series(owner)
    await owner.execute("update ingest.series set project = 'bpf' where id = $1", other)
    await owner.execute("update ingest.series set revision = revision + 1, state = 'superseded' where id = $1", series)
    checks = [{"context": "vendor-build", "state": "success", "patch": 1}]
    assert (await lab.post(f"runs/{run['run']}/finish", {"checks": checks}))[0] == 200
    rows = await owner.fetch("select series_id, project, revision, state from ledger.checks order by patch")
    assert [tuple(r) for r in rows] == [(series, "netdev", 1, "pending"), (series, "netdev", 1, "success")]


@pytest.mark.parametrize("whole", [True, False])
async def test_a_run_that_gives_nothing_leaves_nothing_pending(
    lab: Lab, owner: Pool, floor: Floor, whole: bool
) -> None:
    _, run = await lab.post("runs", {"series": SERIES, "executor": "bot"})
    if whole:
        assert (await lab.post(f"runs/{run['run']}/abandon", {"reason": "no power"}))[0] == 200
        words = "no result: no power"
    else:
        await owner.execute("update ingest.lab_runs set deadline = now() - interval '1 second', beat = '2026-01-01'")
        assert await Reaper(LabDesk(floor)).once() == 1
        words = "no result: not heard of since 2026-01-01 00:00 UTC"
    assert await said(owner) == [("vendor-build", 0, "warning", words)]
    assert await told(owner) == ["warning"]
    # It says nothing of the series: whoever has a result, whatever it is, is heard.
    assert (await lab.post("results", on_series(executor="second", cases=FAILING)))[0] == 201
    assert [s[2] for s in await said(owner)] == ["fail"]


async def test_what_another_run_is_at_stays_pending(lab: Lab, owner: Pool) -> None:
    _, first = await lab.post("runs", {"series": SERIES, "executor": "bot"})
    _, second = await lab.post("runs", {"series": SERIES, "executor": "second"})
    await lab.post(f"runs/{first['run']}/abandon")
    assert [s[2] for s in await said(owner)] == ["pending"]
    await lab.post(f"runs/{second['run']}/abandon")
    assert [s[2] for s in await said(owner)] == ["warning"]


async def test_a_run_given_up_takes_back_nothing(lab: Lab, owner: Pool) -> None:
    assert (await lab.post("results", on_series()))[0] == 201
    _, run = await lab.post("runs", {"series": SERIES, "executor": "bot", "attempt": 1})
    await lab.post(f"runs/{run['run']}/abandon")
    assert [s[2] for s in await said(owner)] == ["success"]


@pytest.mark.parametrize(
    ("counts", "state"),
    [
        ({"pass": 3, "flaky": 1}, "success"),
        ({"pass": 3, "fail": 1, "flaky": 0}, "fail"),
        ({"pass": 3, "error": 1, "warn": 1}, "fail"),
        ({"pass": 3, "warn": 1}, "warning"),
        ({"pass": 3, "skip": 9}, "success"),
        ({"skip": 9}, "warning"),
        ({"xfail": 1}, "success"),
        ({"not-run": 1}, "warning"),
        ({}, "warning"),
    ],
)
def test_what_the_cases_come_to(counts: dict[str, int], state: str) -> None:
    assert fold(counts)[0] == state


def test_no_settled_check_is_pending_again() -> None:
    old, new = Speaker("metal", "bot", 0), Speaker("metal", "bot", 1)
    for settled in (CheckState.SUCCESS, CheckState.WARNING, CheckState.FAIL):
        assert not replaces(settled, old, CheckState.PENDING, new)
        assert not replaces(settled, old, settled, old)
