"""What the pages cost with a long history behind them: 300 branches × 26 executors × 29 tests × 13 subtests.

Each page and each path of the API is asked of a served front, first with 30 branches in the tables and then with 300.
The peer, on the same rows and in the same server of PostgreSQL, is what NIPA does: a table of runs as JSON text, whose
newest rows are read, flattened and sent (`/query/results?format=l2`), and JSON functions over all rows for its flaky
tests. In Chromium the result table of ten branches is compared with a page that loads that JSON whole and filters it.

The last line is JSON: `ratio` is the worst of what was asked of us (`l2_ratio` / 5, `flaky_ratio` / 10, 1.2 /
`growth`, `bytes_ratio` / 5, `first_content_ratio` / 5): at least 1 where all of it holds.
"""

import asyncio
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import structlog
from aiohttp import web
from aiohttp.test_utils import unused_port
from playwright.async_api import async_playwright

from services.report.deciding import Deciding
from services.report.store import ReportStore
from shared.db.pool import Pool
from shared.floor import Floor
from tests.bench.road import laid_out
from tests.services.report.web.builders import served, settings_for

FEW, MANY, EXECUTORS, TESTS, SUBTESTS, SERIES = 30, 300, 26, 29, 13, 60
ROUNDS = 15
FLOOR = 10.0
"""Milliseconds up to which a page is taken to be as fast as another."""
GROUP = "selftests-net"

PAGES = {
    "status": "/", "contest": "/contest", "contest of ten": "/contest?ld_cnt=10&pass=0", "branches": "/branches",
    "branch": "/branch/{branch}", "series": "/series", "one series": "/series/{series}", "run": "/run/{run}",
    "flakes": "/flakes", "matrix": "/matrix", "test": f"/test?group={GROUP}&test=test_5.sh", "crashes": "/crashes",
    "crash": "/crash?title={crash}", "mine": "/mine?who=jane@example.org", "remotes": "/remotes",
    "devices": "/devices", "checks": "/checks", "events": "/events",
    "api contest": "/api/v1/contest", "api branches": "/api/v1/branches", "api cases": "/api/v1/runs/{run}/cases",
    "results": "/query/results?branches=10", "l2": "/query/results?branches=10&format=l2",
    "flaky": "/query/flaky-tests",
}  # fmt: skip


# What is loaded


async def load_names(owner: Pool) -> None:
    names = ["", GROUP, *(f"test_{n}.sh" for n in range(TESTS)), *(f"case_{n}.ipv4" for n in range(SUBTESTS))]
    await owner.execute("insert into ledger.names (name) select unnest($1::text[]) on conflict do nothing", names)
    await owner.execute(
        "insert into ingest.series (project, source, external_id, message_id, subject, title, total, received, state, "
        "author_name, author_email, trees) select 'netdev', 'patchwork', n, n || '-1-jane@example.org', 'net: x', "
        "'net: part ' || n, 2, 2, 'active', 'Jane', case when n % 6 = 0 then 'jane@example.org' else 'bob@example.org' "
        "end, '{net-next}' from generate_series(1, $1) n",
        SERIES,
    )


async def load_branches(owner: Pool, first: int, last: int) -> None:
    """Branches by number, the newest is `MANY`; what fails is settled by arithmetic, so that each load is alike."""
    newest = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=1)
    slots = [newest - timedelta(hours=3 * (MANY - n)) for n in range(first, last + 1)]
    await owner.execute(
        "insert into branch.cuts (id, project, stream, slot, purpose, name, state, tree, base, commit, public_url, "
        "announced) overriding system value select $1 + w.place - 1, 'netdev', 'net-next', w.slot, 'scheduled', "
        "to_char(w.slot at time zone 'utc', '\"net-next-\"YYYY-MM-DD\"--\"HH24-MI'), 'announced', 'net-next', "
        "repeat('b', 40), repeat('c', 40), 'https://example.org/testing.git', w.slot "
        "from unnest($2::timestamptz[]) with ordinality w(slot, place)",
        first, slots,
    )  # fmt: skip
    await owner.execute(
        "insert into branch.selections (cut_id, series_id, revision, position, decision, rule, reason) "
        "select c.id, s.id, 1, s.id, 'take', 'pending', 'pending' from branch.cuts c, ingest.series s "
        "where c.id between $1 and $2 and (s.id + c.id) % 4 > 0", first, last,
    )  # fmt: skip
    for slot in slots:
        await owner.execute("select ledger.ensure_day($1)", slot.date())
    await owner.execute(
        "insert into ledger.runs (id, day, project, stream, branch, cut_id, remote, executor, state, planned, started, "
        "ended, closed) overriding system value select c.id * 100 + e, (c.slot at time zone 'utc')::date, 'netdev', "
        "'net-next', c.name, c.id, case when e % 5 = 0 then 'lab-x' else 'metal' end, 'vmksft-' || e, 'done', $3, "
        "c.slot, c.slot + interval '40 minutes', c.slot + interval '40 minutes' "
        "from branch.cuts c, generate_series(1, $4) e where c.id between $1 and $2",
        first, last, TESTS, EXECUTORS,
    )  # fmt: skip
    await load_cases(owner, first, last)


async def load_cases(owner: Pool, first: int, last: int) -> None:
    """One test in 300 fails for good and leaves a warning of the kernel, one in 60 flakes."""
    await owner.execute(
        """
        insert into ledger.cases (day, run_id, grp, test, subtest, attempt, result, seconds, detail, log, crashes, at)
        select r.day, r.id, g.id, t.id, s.id, a,
               case when a = 0 and (bad or shaky) and sub in (-1, 3) then 'fail'
                    when a = 1 and bad and sub in (-1, 3) then 'fail' else 'pass' end,
               1 + (r.id * 7 + n * 3) % 90,
               case when bad and sub = 3 then 'Expected 5 (5) == recv(fd, buf) (-1)' else '' end,
               case when sub = -1 then 'selftests-net/test_' || n || '.sh/' || a || '/stdout' else '' end,
               case when bad and sub = -1 and a = 0 then array['WARNING in tcp_' || n] else '{}' end, r.started
        from ledger.runs r
        cross join generate_series(0, $3 - 1) n
        cross join lateral (select (r.id * 31 + n * 17) % 300 = 0 as bad, (r.id * 13 + n * 29) % 60 = 0 as shaky) w
        cross join generate_series(0, 1) a
        cross join generate_series(-1, $4 - 1) sub
        join ledger.names g on g.name = $5
        join ledger.names t on t.name = 'test_' || n || '.sh'
        join ledger.names s on s.name = case when sub = -1 then '' else 'case_' || sub || '.ipv4' end
        where r.cut_id between $1 and $2 and (a = 0 or bad or shaky)
        """,
        first, last, TESTS, SUBTESTS, GROUP, timeout=900,
    )  # fmt: skip


async def judge(floor: Floor, first: int, last: int) -> None:
    """What report does at the end of each branch."""
    deciding = Deciding(floor.settings)
    for cut in range(first, last + 1):
        async with floor.pool.acquire() as conn, conn.transaction():
            await deciding.branch(conn, cut, floor.clock())
            # Of labs that do not count no verdict asks; their runs are summed as they end.
            for run in await conn.fetch("select id from ledger.runs where cut_id = $1 and remote = 'lab-x'", cut):
                await ReportStore().roll_up_run(conn, run["id"])
        if cut % 10 == 0:
            print(f"\rbranch {cut} judged", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)


# NIPA's way


PEER_TABLE = """
create schema nipa;
create table nipa.results (branch varchar(80), remote varchar(80), executor varchar(80), branch_date varchar(17),
                           t_start timestamp, t_end timestamp, json_normal text, json_full text);
create index on nipa.results (branch);
create index on nipa.results (branch_date);
"""


async def load_peer(owner: Pool, first: int, last: int) -> None:
    """The same runs as NIPA's collector keeps them: a row each, its results as JSON text, with subtests and without."""
    rows = await owner.fetch(
        """
        select r.id, r.branch, r.remote, r.executor, r.started, r.ended, g.name as grp, t.name as test,
               s.name as subtest, k.attempt, k.result, k.seconds::text as seconds, k.crashes
        from ledger.runs r join ledger.cases k on k.run_id = r.id and k.day = r.day
        join ledger.names g on g.id = k.grp join ledger.names t on t.id = k.test join ledger.names s on s.id = k.subtest
        where r.cut_id between $1 and $2 order by r.id, t.id, k.attempt, s.id
        """,
        first, last, timeout=900,
    )  # fmt: skip
    runs: dict[int, dict[str, Any]] = {}
    tests: dict[tuple[int, str], dict[str, Any]] = {}
    for row in rows:
        run = runs.setdefault(row["id"], {
            "branch": row["branch"], "remote": row["remote"], "executor": row["executor"],
            "start": str(row["started"]), "end": str(row["ended"]), "link": f"https://ci.example.org/run/{row['id']}",
            "results": [], "row": row,
        })  # fmt: skip
        key = (row["id"], row["test"])
        if not row["subtest"] and row["attempt"] == 0:
            test = {
                "test": row["test"], "group": row["grp"], "result": row["result"], "time": float(row["seconds"]),
                "link": f"https://ci.example.org/run/{row['id']}/{row['test']}/stdout", "results": [],
            }  # fmt: skip
            tests[key] = test | ({"crashes": row["crashes"]} if row["crashes"] else {})
            run["results"].append(tests[key])
        elif not row["subtest"]:
            tests[key]["retry"] = row["result"]
        elif row["attempt"] == 0:
            tests[key]["results"].append(
                {"test": row["subtest"], "result": row["result"], "time": float(row["seconds"])}
            )
    records = []
    for run in runs.values():
        row = run.pop("row")
        plain = run | {"results": [{k: v for k, v in t.items() if k != "results"} for t in run["results"]]}
        records.append((
            row["branch"], row["remote"], row["executor"], row["branch"][-17:], row["started"].replace(tzinfo=None),
            row["ended"].replace(tzinfo=None), json.dumps(plain), json.dumps(run),
        ))  # fmt: skip
    async with owner.acquire() as conn:
        await conn.copy_records_to_table("results", schema_name="nipa", records=records)


NEWEST = """select json_normal, json_full from nipa.results where branch_date >= (
    select min(d) from (select distinct branch_date d from nipa.results order by d desc limit $1) x)
order by branch_date desc limit 10000"""

FLAKY = """
select remote, executor, test, count(*) from nipa.results, jsonb_to_recordset((json_normal::jsonb)->'results')
    as x(test text, result text, retry text, crashes text)
where result = 'fail' and retry = 'pass' and crashes is null and t_start > now()::timestamp - interval '28 days'
group by 1, 2, 3 order by 4 desc
"""


class Peer:
    """An HTTP front of its own over that table, in the same process as ours."""

    def __init__(self, owner: Pool) -> None:
        self._owner = owner

    async def results(self, request: web.Request) -> web.Response:
        rows = await self._owner.fetch(NEWEST, int(request.query["branches"]))
        if request.query.get("format") != "l2":
            return _json_text("[" + ",".join(row["json_normal"] for row in rows) + "]")
        return _json_text(json.dumps([_flattened(json.loads(row["json_full"])) for row in rows]))

    async def flaky(self, request: web.Request) -> web.Response:
        return _json_text(json.dumps([list(row) for row in await self._owner.fetch(FLAKY, timeout=120)]))

    async def page(self, request: web.Request) -> web.Response:
        return web.Response(text=PAGE, content_type="text/html")


def _json_text(text: str) -> web.Response:
    return web.Response(text=text, content_type="application/json")


def _flattened(run: dict[str, Any]) -> dict[str, Any]:
    """Each subtest as a test of its own, as NIPA's `l2` tells them."""
    flat = []
    for test in run["results"]:
        below = test.pop("results", [])
        flat.append({k: v for k, v in test.items() if k not in ("time", "retry")} if below else test)
        flat += [
            sub | {"test": f"{test['test']}.{sub['test']}", "group": test["group"], "link": test["link"]}
            for sub in below
        ]
    return run | {"results": flat}


PAGE = """<!doctype html><title>contest</title><table id="rows"></table><script>
fetch("/query/results?branches=10").then(r => r.json()).then(runs => {
  const table = document.getElementById("rows");
  let shown = 0;
  for (const run of runs) for (const one of run.results) {
    if (++shown > 5000) return;
    const row = table.insertRow();
    for (const text of [run.end, run.branch, run.remote, run.executor, one.group, one.test, one.result, one.retry || "",
                        one.time]) row.insertCell().textContent = text;
    row.insertCell().innerHTML = '<a href="' + one.link + '">outputs</a>';
  }
});
</script>"""


@asynccontextmanager
async def peer_served(owner: Pool) -> AsyncIterator[str]:
    peer, app, port = Peer(owner), web.Application(), unused_port()
    app.router.add_get("/query/results", peer.results)
    app.router.add_get("/query/flaky-tests", peer.flaky)
    app.router.add_get("/contest.html", peer.page)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        await runner.cleanup()


# Measuring


Ask = Callable[[], Awaitable[int]]


async def median(ask: Ask) -> tuple[float, int]:
    """Milliseconds to the last byte, the median of `ROUNDS` after two that warm it up; and how many bytes."""
    took, size = [], 0
    for n in range(ROUNDS + 2):
        began = time.perf_counter()
        size = await ask()
        if n > 1:
            took.append((time.perf_counter() - began) * 1000)
    return statistics.median(took), size


def asker(http: httpx.AsyncClient, url: str) -> Ask:
    async def ask() -> int:
        size = 0
        async with http.stream("GET", url) as answer:
            answer.raise_for_status()
            async for piece in answer.aiter_raw():
                size += len(piece)
        return size

    return ask


async def measure(url: str, names: Mapping[str, str]) -> dict[str, float]:
    """Milliseconds of each page. Whatever is kept from one request to the next is thrown away by an event in between
    where the page is live, so the front is asked as by one who comes to it first."""
    found = {}
    async with httpx.AsyncClient(timeout=120) as http:
        for name, path in PAGES.items():
            found[name], _ = await median(asker(http, url + path.format(**names)))
    return found


async def in_chromium(url: str, rows: str) -> dict[str, float]:
    """Bytes, and milliseconds from the start of navigation to the first content that is painted (the table's rows: the
    peer's page has nothing else), the median of seven loads with an empty cache.
    """
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    took, sizes = [], []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        for _ in range(7):
            context = await browser.new_context()
            page, size = await context.new_page(), 0
            session = await context.new_cdp_session(page)
            await session.send("Network.enable")

            def heard(event: dict[str, Any]) -> None:
                nonlocal size
                size += event["encodedDataLength"]

            session.on("Network.loadingFinished", heard)
            await page.goto(url)
            await page.wait_for_selector(rows)
            took.append(await page.evaluate(PAINTED))
            await page.wait_for_timeout(300)
            sizes.append(size)
            await context.close()
        await browser.close()
    return {"ms": statistics.median(took), "bytes": statistics.median(sizes)}


PAINTED = """new Promise(done => new PerformanceObserver(list => {
  for (const one of list.getEntries()) if (one.name === "first-contentful-paint") done(one.startTime);
}).observe({ type: "paint", buffered: true }))"""


async def run(folder: Path) -> dict[str, Any]:
    settings = settings_for(folder)
    async with AsyncExitStack() as stack:
        floor, _, owner, _ = await stack.enter_async_context(laid_out(folder, settings))
        await owner.execute(PEER_TABLE)
        await load_names(owner)
        url = await stack.enter_async_context(served(floor))
        peer = await stack.enter_async_context(peer_served(owner))
        names = {
            "branch": "", "series": str(SERIES), "run": str(MANY * 100 + 1),
        }  # fmt: skip
        found: dict[int, dict[str, float]] = {}
        for count, first, last in ((FEW, MANY - FEW + 1, MANY), (MANY, 1, MANY - FEW)):
            print(f"loading up to {count} branches", file=sys.stderr, flush=True)
            await load_branches(owner, first, last)
            await judge(floor, first, last)
            await load_peer(owner, first, last)
            await owner.execute("analyze")
            names["branch"] = await owner.fetchval("select name from branch.cuts where id = $1", MANY)
            names["crash"] = await owner.fetchval(
                "select crashes[1] from report.outcomes where crashes <> '{}' limit 1"
            )
            found[count] = await measure(url, names)
        return await compared(found, url, peer)


async def compared(found: Mapping[int, Mapping[str, float]], url: str, peer: str) -> dict[str, Any]:
    async with httpx.AsyncClient(timeout=300) as http:
        theirs = {
            "results": (await median(asker(http, f"{peer}/query/results?branches=10")))[0],
            "l2": (await median(asker(http, f"{peer}/query/results?branches=10&format=l2")))[0],
            "flaky": (await median(asker(http, f"{peer}/query/flaky-tests")))[0],
        }
    ours = await in_chromium(f"{url}/contest?ld_cnt=10", "table.results tbody tr")
    whole = await in_chromium(f"{peer}/contest.html", "table tr")
    many = found[MANY]
    # Below some milliseconds a page's time is that of the machine, not of its rows.
    growth = {name: max(many[name], FLOOR) / max(found[FEW][name], FLOOR) for name in PAGES}
    worst = max(growth, key=lambda name: growth[name])
    figures = {
        "l2_ratio": theirs["l2"] / many["l2"], "flaky_ratio": theirs["flaky"] / many["flaky"],
        "results_ratio": theirs["results"] / many["results"], "growth": growth[worst],
        "bytes_ratio": whole["bytes"] / ours["bytes"], "first_content_ratio": whole["ms"] / ours["ms"],
    }  # fmt: skip
    held = {
        "l2": figures["l2_ratio"] / 5, "flaky": figures["flaky_ratio"] / 10, "growth": 1.2 / figures["growth"],
        "bytes": figures["bytes_ratio"] / 5, "first content": figures["first_content_ratio"] / 5,
    }  # fmt: skip
    return {
        "ratio": round(min(held.values()), 3), "worst": min(held, key=lambda name: held[name]),
        **{name: round(value, 2) for name, value in figures.items()}, "grew_most": worst,
        "ms": {name: round(value, 1) for name, value in many.items()},
        "growths": {name: round(value, 2) for name, value in growth.items()},
        "peer_ms": {name: round(value, 1) for name, value in theirs.items()},
        "chromium": {"ours": ours, "peer": whole},
    }  # fmt: skip


def main() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    with tempfile.TemporaryDirectory(prefix="netci-bench-web-") as folder:
        os.chmod(folder, 0o755)
        print(json.dumps(asyncio.run(run(Path(folder)))))


if __name__ == "__main__":
    main()
