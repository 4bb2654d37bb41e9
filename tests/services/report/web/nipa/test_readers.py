"""What NIPA's pages and scripts get from a database with a day of a busy CI in it."""

import json
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest

from services.report.store import ReportStore
from services.report.web.nipa.results import portions
from shared.ledger.write import Ending
from shared.model.results import Case, Cause, Result
from tests.services.report.web.builders import BRANCH, OLDER, URL, a_cut, an_opening
from tests.services.report.web.conftest import Site

HIDDEN = ("trial-branch", "try-branch", "secret-lab")
DRV = "selftests-drivers-net"


@pytest.fixture
async def client(site: Site) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(site.url) as session:
        yield session


async def get(client: aiohttp.ClientSession, path: str) -> Any:
    async with client.get(path) as answer:
        text = await answer.text()
        assert answer.status == 200, f"{path}: {answer.status} {text[:400]}"
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        return json.loads(text)


async def a_run(site: Site, cut: int, branch: str, cases: Sequence[Case], **more: Any) -> int:
    """A closed run, summed and counted."""
    async with site.world.owner.acquire() as conn, conn.transaction():
        run = await site.world.ledger.open(conn, an_opening(cut, branch, **more))
        await site.world.ledger.append(conn, run, cases)
        await site.world.ledger.finish(conn, run, Ending())
        await ReportStore().roll_up_run(conn, run.id)
    return int(run.id)


def labs(rows: Sequence[dict[str, Any]]) -> list[tuple[str, str, str]]:
    return [(r["branch"], r["remote"], r["executor"]) for r in rows]


async def test_results_are_runs_as_nipa_tells_them(client: aiohttp.ClientSession, site: Site) -> None:
    rows = await get(client, "/query/results")
    assert labs(rows) == [
        (BRANCH, "brancher", "brancher"), (OLDER, "brancher", "brancher"), (OLDER, "metal", "vmksft-net"),
    ]  # fmt: skip
    assert rows[0]["results"][0] == {
        "test": "branch-created", "group": "---", "result": "pass", "link": f"{URL[:-4]}/commits/{BRANCH}",
    }  # fmt: skip
    run = {row["test"]: row for row in rows[2]["results"]}
    assert run["gro.sh"]["result"] == "fail"
    assert run["gro.sh"]["retry"] == "pass"
    assert run["fib_tests.sh"]["crashes"] == ["general protection fault in fib6_walk"]
    assert run["tls"]["link"].endswith(f"/run/{site.world.closed}/log/selftests-net%2Ftls%2F0%2Fstdout")
    assert all("results" not in row for row in run.values())
    assert datetime.fromisoformat(rows[2]["start"]).tzinfo is not None


async def test_l2_has_subtests_as_tests(client: aiohttp.ClientSession) -> None:
    rows = await get(client, f"/query/results?branch-name={OLDER}&format=l2&remote=metal")
    names = {row["test"] for row in rows[0]["results"]}
    assert names == {
        "tls.12_gcm.send",
        "tls.13_sm4.send",
        "gro.sh",
        "fib_tests.sh.ipv6_rt.unregister",
        "xfrm_policy.sh",
    }


async def test_results_of_some(client: aiohttp.ClientSession) -> None:
    assert labs(await get(client, "/query/results?branches=1")) == [(BRANCH, "brancher", "brancher")]
    assert labs(await get(client, "/query/results?remote=metal")) == [(OLDER, "metal", "vmksft-net")]
    assert await get(client, "/query/results?br-pfx=net") == []
    assert len(await get(client, "/query/results?br-pfx=net-next")) == 3
    assert await get(client, "/query/results?branch-name=no-such") == []


async def test_odd_values_are_answered_as_nipa_does(client: aiohttp.ClientSession) -> None:
    assert await get(client, "/query/results?branch-name=a%27b") == {}
    assert await get(client, "/query/results?format=xml") == []
    assert len(await get(client, "/query/results?remote=a%27b")) == 3
    assert await get(client, "/query/stability?remote=%27&auto=x") == []


async def test_pending_runs_have_no_results(client: aiohttp.ClientSession, site: Site) -> None:
    await site.world.owner.execute(
        "insert into executor.plans (cut_id, remote, executor, project, stream, branch, commit, deadline) "
        "values ($1, 'metal', 'kunit', 'netdev', 'net-next', $2, 'c', now())", site.world.cut, BRANCH,
    )  # fmt: skip
    pending = [r for r in await get(client, "/query/results?pending=1") if r["results"] is None]
    assert labs(pending) == [(BRANCH, "metal", "kunit"), (BRANCH, "metal", "vmksft-net")]
    assert all(row["end"] is None for row in pending)
    assert all(row["results"] for row in await get(client, "/query/results?pending=1&format=l2"))


async def test_what_is_not_steady_is_told_only_with_its_subtests(client: aiohttp.ClientSession, site: Site) -> None:
    cases = [
        Case(DRV, "ping.py", Result.FAIL), Case(DRV, "ping.py", Result.FAIL, subtest="v6"),
        Case(DRV, "stats.py", Result.FAIL, cause=Cause.CRASH, crashes=("mlx5e_x:y",)),
    ]  # fmt: skip
    await a_run(site, site.world.cut, BRANCH, cases, remote="lab-x", executor="cx7", device={"nic": "CX7", "fw": "28"})
    normal = await get(client, f"/query/results?branch-name={BRANCH}&remote=lab-x")
    assert [[test["test"] for test in run["results"]] for run in normal] == [["stats.py"]]
    flat = await get(client, f"/query/results?branch-name={BRANCH}&remote=lab-x&format=l2")
    assert [test["test"] for test in flat[0]["results"]] == ["ping.py.v6", "stats.py"]


async def test_stability_and_devices(client: aiohttp.ClientSession, site: Site) -> None:
    cases = [Case(DRV, "ping.py", Result.PASS), Case(DRV, "ping.py", Result.FAIL, subtest="v6")]
    await a_run(site, site.world.cut, BRANCH, cases, remote="lab-x", executor="cx7", device={"nic": "CX7"})
    await a_run(site, site.world.cut, BRANCH, [Case("net", "tls", Result.PASS)], remote="lab-x", executor="vm")
    rows = await get(client, "/query/stability?auto=y")
    assert [(r["test"], r["subtest"], r["pass_cnt"], r["fail_cur"], r["passing"]) for r in rows] == [
        ("ping.py", None, 1, 0, None), ("ping.py", "v6", 0, 1, None),
    ]  # fmt: skip
    assert set(rows[0]) == {
        "remote", "executor", "grp", "test", "subtest", "autoignore", "pass_cnt", "fail_cnt", "pass_srk", "fail_srk",
        "pass_cur", "fail_cur", "last_update", "passing",
    }  # fmt: skip
    assert rows[0]["last_update"].endswith(" GMT")
    assert [r["executor"] for r in await get(client, "/query/stability?auto=n&remote=lab-x")] == ["vm"]
    assert {r["executor"] for r in await get(client, "/query/stability")} == {"cx7", "vm", "vmksft-net"}
    devices = await get(client, "/query/device-info")
    assert [(d["remote"], d["executor"], json.loads(d["info"])) for d in devices] == [("lab-x", "cx7", {"nic": "CX7"})]


async def test_flaky_tests(client: aiohttp.ClientSession, site: Site) -> None:
    flake = [Case("net", "tls", Result.FAIL), Case("net", "tls", Result.PASS, attempt=1)]
    crash = [Case("net", "udp", Result.FAIL, crashes=("x",)), Case("net", "udp", Result.PASS, attempt=1)]
    for attempt in (1, 2):
        await a_run(site, site.world.cut, BRANCH, [*flake, *crash], attempt=attempt)
    await site.world.owner.execute("update report.rollups set started = now() where started is null")
    rows = await get(client, "/query/flaky-tests")
    assert rows == [
        {"remote": "metal", "executor": "vmksft-net", "test": "tls", "count": [2, 0, 0, 0]},
        {"remote": "metal", "executor": "vmksft-net", "test": "gro.sh", "count": [1, 0, 0, 0]},
    ]
    assert [r["count"] for r in await get(client, "/query/flaky-tests?limit=2")] == [2]
    assert (await get(client, "/query/flaky-tests?group-pfx=1"))[0]["branch-pfx"] == "net-next"
    await site.world.owner.execute("update report.rollups set started = now() - interval '15 days'")
    # Answers are kept for some seconds, by the whole query.
    assert (await get(client, "/query/flaky-tests?group-pfx=0"))[0]["count"] == [0, 0, 2, 0]


async def test_remotes(client: aiohttp.ClientSession) -> None:
    assert await get(client, "/query/remotes") == ["brancher", "lab-x", "metal"]


async def test_files_of_nipas_pages(client: aiohttp.ClientSession) -> None:
    info = await get(client, "/static/nipa/branches-info.json")
    assert list(info) == [OLDER, BRANCH]
    assert info[BRANCH]["base-pulls"] == {"https://example.org/net.git": "resolved"}
    assert info[BRANCH]["series"] == [1001]
    assert (info[OLDER]["new-changes"], info[BRANCH]["new-changes"]) == (True, False)
    assert await get(client, "/branch-results.json") == {OLDER: {"result": "fail", "code": 4, "cnt": 4}}
    assert (await get(client, "/contest/filters.json"))["remotes"] == ["metal"]
    assert await get(client, "/issues.json") == []
    check = (await get(client, "/static/nipa/checks.json"))[0]
    assert (check["check"], check["result"], check["author"], check["id"]) == ("contest", "pending", "Jane Doe", 5)
    status = await get(client, "/static/nipa/status.json")
    assert status["services"]["netci-ingest-report"]["ActiveState"] == "active"
    assert "secret-host" not in json.dumps(status)


async def test_nothing_hidden_is_told(client: aiohttp.ClientSession, site: Site) -> None:
    owner, now = site.world.owner, datetime.now(UTC)
    flake = [Case("net", "hidden", Result.FAIL), Case("net", "hidden", Result.PASS, attempt=1)]
    trial = await a_cut(owner, "net-next-2026-11-23--10-00", now)
    tried = await a_cut(owner, "try-branch-2026-11-23--11-00", now, purpose="try")
    device = {"nic": "hidden"}
    await a_run(site, trial, "trial-branch", flake, trial=True, remote="secret-lab", device=device)
    await a_run(site, trial, "trial-branch", flake, visibility="operator", remote="secret-lab", device=device)
    await a_run(site, tried, "try-branch", flake, remote="secret-lab", device=device)
    async with owner.acquire() as conn, conn.transaction():
        await site.world.ledger.open(conn, an_opening(tried, "try-branch", remote="secret-lab", executor="open"))
    for path in (
        "/query/results", "/query/results?pending=1", "/query/results?format=l2", "/query/remotes", "/query/stability",
        "/query/results?branch-name=try-branch-2026-11-23--11-00", "/query/device-info", "/query/flaky-tests",
        "/query/flaky-tests?limit=50", "/branches-info.json", "/branch-results.json", "/query/branches",
    ):  # fmt: skip
        text = json.dumps(await get(client, path))
        assert not any(word in text for word in (*HIDDEN, "hidden")), path
    for path in ("/flakes.html?min-flip=0", "/devices.html"):
        async with client.get(path) as answer:
            text = await answer.text()
            assert not any(word in text for word in (*HIDDEN, "nic: hidden", "net/hidden")), path
    async with client.get("/branch_deltas/try-branch-2026-11-23--11-00.html") as answer:
        assert answer.status == 404


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/flakes.html?br-cnt=88&tn-needle=gro", "selftests-net/gro.sh</a>"),
        ("/devices.html", "No lab has said anything"),
        ("/checks.html", "contest"),
        ("/logview.html?f=https://example.org/x/stdout", "https://example.org/x/stdout"),
        ("/logview.html?f=javascript:alert(1)", "No address of a log"),
        ("/status.html", "net-next"),
        (f"/branch_deltas/{BRANCH}.html", OLDER),
        (f"/branch_deltas/{BRANCH}", "  net: sockets: count what is dropped (v1, active)"),
        ("/contest.html?pw-n=0&branch=" + OLDER, "fib_tests.sh"),
    ],
)
async def test_addresses_of_nipas_pages_lead_somewhere(client: aiohttp.ClientSession, path: str, words: str) -> None:
    async with client.get(path) as answer:
        text = await answer.text()
        assert answer.status == 200, text[:400]
        assert words in text
        assert 'javascript:alert(1)"' not in text


async def test_an_old_link_to_a_log_of_ours_leads_there(client: aiohttp.ClientSession, site: Site) -> None:
    path = f"/run/{site.world.closed}/log/selftests-net%2Ftls%2F0%2Fstdout"
    for address in (path, site.url + path):
        async with client.get("/logview.html", params={"f": address}, allow_redirects=False) as answer:
            assert answer.status == 302
            assert answer.headers["Location"].startswith("/run/")
    async with client.get("/logview.html", params={"f": f"//evil.example{path}"}, allow_redirects=False) as answer:
        assert answer.status == 200


async def test_only_remotes_that_count_or_only_the_others(client: aiohttp.ClientSession, site: Site) -> None:
    await a_run(site, site.world.cut, BRANCH, [Case("net", "udp", Result.PASS)], remote="lab-x", executor="vm")
    for query, wanted in (("pw-n=0", {"metal"}), ("pw-y=0", {"lab-x"}), ("", {"metal", "lab-x"})):
        assert {row["remote"] for row in (await get(client, f"/contest.json?{query}"))["rows"]} == wanted


async def test_old_days_are_left_alone(site: Site) -> None:
    from services.report.web.nipa.reading import SQL

    owner = site.world.owner
    await owner.execute("select ledger.ensure_day(date '2020-01-01' + n) from generate_series(0, 20) n")
    today = await owner.fetchval("select day from ledger.runs limit 1")
    async with owner.acquire() as conn, conn.transaction():
        await conn.execute("set local plan_cache_mode = force_custom_plan")
        plan = "\n".join(row[0] for row in await conn.fetch(f"explain {SQL['cases']}", [today], [1], [1]))
        assert f"cases_{today:%Y%m%d}" in plan
        assert "cases_2020" not in plan
        await conn.execute("set local enable_seqscan = off; set local enable_sort = off")
        since = datetime.now(UTC) - timedelta(days=1)
        wanted = {"oldest_slot": ("cuts_newest", 10, ""), "runs": ("cuts_newest", None, since, "", None, 100),
                  "branches": ("cuts_newest", None, since, "", 100),
                  "stability": ("stability_pkey", None, None, "", "", 0, 0, 0, 100)}  # fmt: skip
        for name, (index, *args) in wanted.items():
            plan = "\n".join(row[0] for row in await conn.fetch(f"explain {SQL[name]}", *args))
            assert str(index) in plan, (name, plan)


def test_no_portion_holds_more_than_it_may_but_for_one_that_is_large_alone() -> None:
    assert list(portions([3, 4, 3, 20, 1, 0, 9], 10)) == [slice(0, 3), slice(3, 4), slice(4, 7)]
    assert list(portions([20, 20], 10)) == [slice(0, 1), slice(1, 2)]
    assert list(portions([1] * 5, 10)) == [slice(0, 5)]
