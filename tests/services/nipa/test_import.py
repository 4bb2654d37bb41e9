"""A NIPA installation is imported from its files and from its database, again without change, and is seen."""

import json
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from pathlib import Path

import aiohttp
import pytest

from services.report.stability.counting import rebuild_stability
from shared.db.keep import Keeping
from shared.db.pool import Pool, connect
from shared.errors import Refused
from shared.formats.nipa import read_run
from shared.practice.nipa import Installation, fill, listed, name_of, runs, stability, write_files
from shared.settings import Keep, Settings
from tests.conftest import Database, FloorFor
from tests.services.nipa.conftest import Import, an_installation
from tests.services.report.web.builders import a_cut, served

TABLES = (
    "branch.cuts", "ledger.runs", "ledger.cases", "ledger.names", "report.rollups", "report.branches", "report.counted",
    "report.stability", "report.stability_brought", "report.devices",
)  # fmt: skip


async def contents(owner: Pool) -> dict[str, str]:
    """A digest of each table that an import writes."""
    found = {}
    for table in TABLES:
        query = f"select md5(coalesce(string_agg(t::text, ',' order by t::text), '')) from {table} t"
        found[table] = await owner.fetchval(query)
    return found


def expected(made: Installation) -> dict[str, int]:
    told = [read_run(json.dumps(run).encode()) for run in runs(made)]
    devices = sum(made.has_device(remote) for remote, _ in made.labs)
    return {
        "branches": made.branches, "runs": len(told), "results": sum(len(run.cases) for run in told),
        "stability": len(stability(made)), "devices": devices,
    }  # fmt: skip


def files(folder: Path) -> Sequence[object]:
    named = [("branches", "branches"), ("infos", "branches-info"), ("stability", "stability"), ("devices", "devices")]
    lists = [word for name, file in named for word in (f"--{name}", folder / f"{file}.json")]
    return ["--results", folder / "results", *lists]


async def counted(owner: Pool) -> dict[str, int]:
    return {
        "branches": await owner.fetchval("select count(*) from branch.cuts where state = 'history'"),
        "runs": await owner.fetchval("select count(*) from ledger.runs where id < 0"),
        "results": await owner.fetchval("select count(*) from ledger.cases"),
        "stability": await owner.fetchval("select count(*) from report.stability_brought"),
        "devices": await owner.fetchval("select count(*) from report.devices where info->>'fw' = '27.1'"),
    }


async def quiet(owner: Pool) -> None:
    """Nothing was staged, posted, planned or given as work."""
    for table in ("floor.outbox", "floor.events", "floor.work", "report.verdicts", "report.posts", "executor.plans"):
        assert await owner.fetchval(f"select count(*) from {table}") == 0, table


async def test_files_are_imported_counted_and_imported_again_without_change(
    database: Database, take: Import, tmp_path: Path
) -> None:
    made, folder, owner = an_installation(), tmp_path / "nipa", await database.pool()
    folder.mkdir()
    write_files(made, folder)
    dry = await take(*files(folder), "--dry-run")
    assert {kind: dry["taken"][kind] for kind in expected(made)} == expected(made)
    assert await counted(owner) == dict.fromkeys(expected(made), 0)

    first = await take(*files(folder))
    assert first["taken"] == expected(made)
    assert await counted(owner) == expected(made)
    left = {(row["kind"], row["why"]): row["count"] for row in first["left"]}
    assert left == {
        ("branches", "has no date at the end of its name"): 1,
        ("files", "cannot be read as JSON"): 1,
        ("runs", "is pending"): 1,
        ("series", "are known by their number on Patchwork alone"): 2 * made.branches,
    }
    await quiet(owner)

    before = await contents(owner)
    again = await take(*files(folder))
    assert not any(again["taken"].values())
    assert again["there"] == {k: v for k, v in expected(made).items() if k != "results"}
    assert await contents(owner) == before


async def a_database(database: Database, made: Installation) -> str:
    """A database of NIPA's beside ours; goes with the session's server."""
    owner = await connect(database.dsn)
    name = str(await owner.fetchval("select current_database()")) + "_nipa"
    await owner.execute(f"create database {name}")
    await owner.close()
    dsn = database.dsn.replace("_nipa", "").replace(name.removesuffix("_nipa"), name)
    conn = await connect(dsn)
    await fill(conn, made)
    await conn.close()
    return dsn


async def test_a_database_is_imported_and_says_what_the_files_say(
    database: Database, take: Import, tmp_path: Path
) -> None:
    made, folder, owner = an_installation(), tmp_path / "nipa", await database.pool()
    first = await take("--dsn", await a_database(database, made))
    assert first["taken"] == expected(made)
    assert await counted(owner) == expected(made)
    assert {row["why"]: row["count"] for row in first["left"]}["is pending"] == 1
    before = await contents(owner)
    folder.mkdir()
    write_files(made, folder)
    again = await take(*files(folder))
    assert not any(again["taken"].values())
    assert await contents(owner) == before


@pytest.fixture
async def site(floor_for: FloorFor, settings: Settings) -> AsyncIterator[aiohttp.ClientSession]:
    async with served(await floor_for("report", settings)) as url, aiohttp.ClientSession(url) as session:
        yield session


async def get(site: aiohttp.ClientSession, path: str) -> str:
    async with site.get(path) as answer:
        text = await answer.text()
        assert answer.status == 200, f"{path}: {answer.status} {text[:300]}"
        return text


async def test_history_is_shown_and_offered_to_nobody(
    database: Database, take: Import, tmp_path: Path, site: aiohttp.ClientSession
) -> None:
    made, folder, owner = an_installation(branches=12), tmp_path / "nipa", await database.pool()
    ours = await a_cut(owner, "net-next-2020-01-01--00-00", made.slots()[0] - timedelta(days=30))
    folder.mkdir()
    write_files(made, folder)
    await take("--results", folder / "results", "--branches", folder / "branches.json")
    newest, run = name_of(made.newest), await owner.fetchrow("select * from ledger.runs order by id desc limit 1")
    assert run is not None

    for path in ("/branches.json", "/query/branches"):
        assert [row["branch"] for row in json.loads(await get(site, path))] == ["net-next-2020-01-01--00-00"]
    shown = [row["id"] for row in json.loads(await get(site, "/api/v1/branches?limit=100"))["branches"]]
    assert shown[0] == ours
    assert shown[1:] == sorted(shown[1:], reverse=True)
    assert len(shown) == 13
    page = json.loads(await get(site, "/api/v1/branches?limit=5"))
    following = json.loads(await get(site, f"/api/v1/branches?limit=5&before={page['next']}"))
    assert [row["id"] for row in [*page["branches"], *following["branches"]]] == shown[:10]
    assert "history from NIPA" in await get(site, f"/branch/{newest}")
    assert "test-0" in await get(site, f"/run/{run['id']}")
    table = json.loads(await get(site, f"/contest.json?branch={newest}"))
    assert len(table["rows"]) == len(made.labs) * made.tests
    rows = json.loads(await get(site, "/contest.json?ld-cases=1"))
    assert rows["next"]
    assert json.loads(await get(site, f"/contest.json?{rows['next']}"))["rows"]
    assert "against" in await get(site, f"/branch_deltas/{newest}")

    told = [
        row for row in json.loads(await get(site, f"/query/results?branch-name={newest}")) if row["remote"] == "lab-0"
    ]
    source = {row["executor"]: row for row in runs(made) if row["branch"] == newest and row["remote"] == "lab-0"}
    assert {row["executor"] for row in told} == source.keys()
    for row in told:
        original = source[row["executor"]]
        assert (row["start"], row["end"], row["link"]) == tuple(original[key] for key in ("start", "end", "link"))
        plain = [{k: v for k, v in test.items() if k not in ("results", "time")} for test in original["results"]]
        assert [{k: v for k, v in test.items() if k != "time"} for test in row["results"]] == plain
    deep = json.loads(await get(site, f"/query/results?branch-name={newest}&format=l2"))
    assert sum(len(row["results"]) for row in deep if row["remote"] != "brancher") == len(made.labs) * made.tests * 2
    weeks = json.loads(await get(site, "/query/flaky-tests"))
    flakes = Counter(
        (run["remote"], test["test"]) for run in runs(made) for test in run["results"]
        if test["result"] == "fail" and test.get("retry") == "pass" and not test.get("crashes")
    )  # fmt: skip
    assert sum(sum(row["count"]) for row in weeks) == flakes.total()


async def test_counters_that_were_brought_are_not_counted_again(
    database: Database, take: Import, tmp_path: Path
) -> None:
    made, folder, owner = an_installation(branches=20), tmp_path / "nipa", await database.pool()
    folder.mkdir()
    write_files(made, folder)
    await take("--results", folder / "results")
    total = "select sum(pass_cnt + fail_cnt) from report.stability"
    by_results = await owner.fetchval(total)
    assert 0 < by_results <= made.branches * len(made.labs) * made.tests * (1 + made.subtests)
    await take("--stability", folder / "stability.json")
    assert await owner.fetchval(total) == sum(row["pass_cnt"] + row["fail_cnt"] for row in stability(made))
    async with owner.acquire() as conn:
        await rebuild_stability(conn)
    assert await owner.fetchval(total) == sum(row["pass_cnt"] + row["fail_cnt"] for row in stability(made))
    steady = await owner.fetchval("select count(*) from report.stability where autoignore and passing is null")
    assert steady == sum(row["autoignore"] and row["passing"] is None for row in stability(made))


async def test_an_interrupted_import_goes_on_and_more_runs_of_a_branch_join_it(
    database: Database, take: Import, tmp_path: Path
) -> None:
    made, folder, owner = an_installation(branches=10), tmp_path / "nipa", await database.pool()
    folder.mkdir()
    write_files(made, folder)
    aside = sorted((folder / "results" / "lab-1").glob("results-*.json"))[3:]
    for path in aside:
        path.rename(path.with_suffix(".later"))
    first = await take("--results", folder / "results")
    for path in aside:
        path.with_suffix(".later").rename(path)
    second = await take("--results", folder / "results")
    assert first["taken"]["runs"] + second["taken"]["runs"] == expected(made)["runs"]
    assert await owner.fetchval("select count(*) from report.rollups") == expected(made)["runs"]
    tests = await owner.fetchval("select sum(tests) from report.branches")
    assert tests == await owner.fetchval("select sum(tests) from report.rollups") == expected(made)["runs"] * made.tests


async def test_days_are_those_of_the_runs_and_retention_takes_the_old(
    database: Database, take: Import, tmp_path: Path, floor_for: FloorFor, settings: Settings
) -> None:
    made, folder, owner = an_installation(branches=40), tmp_path / "nipa", await database.pool()
    folder.mkdir()
    write_files(made, folder)
    await take("--results", folder / "results")
    assert await owner.fetchval("select count(*) from ledger.runs where day <> (started at time zone 'utc')::date") == 0
    floor = await floor_for("report", settings)
    keep = Keep(cases=timedelta(days=3))
    gone = await Keeping(await database.pool("report"), floor.blobs, keep, floor.clock, "test").once()
    assert gone["case_days"] > 0
    assert await owner.fetchval("select count(*) from ledger.runs") == expected(made)["runs"]
    assert 0 < await owner.fetchval("select count(*) from ledger.cases") < expected(made)["results"]


async def test_what_would_be_taken_away_at_once_is_not_taken(database: Database, take: Import, tmp_path: Path) -> None:
    made = Installation(newest=an_installation().newest - timedelta(days=800), branches=2)
    folder = tmp_path / "nipa"
    folder.mkdir()
    write_files(made, folder)
    account = await take("--results", folder / "results")
    assert {row["why"] for row in account["left"] if row["kind"] == "runs"} >= {
        "is older than [keep] cases says to keep"
    }
    assert account["taken"]["runs"] == 0


async def test_a_branch_that_was_cut_here_is_left_alone(database: Database, take: Import, tmp_path: Path) -> None:
    made, folder, owner = an_installation(branches=2), tmp_path / "nipa", await database.pool()
    await a_cut(owner, name_of(made.newest), made.newest)
    folder.mkdir()
    write_files(made, folder)
    account = await take("--results", folder / "results")
    assert account["taken"]["branches"] == 1
    assert ("branches", "was cut here under the same name", 1) in [
        (row["kind"], row["why"], row["count"]) for row in account["left"]
    ]
    assert await owner.fetchval("select count(*) from ledger.runs where cut_id > 0") == 0


async def test_results_as_lists_and_as_rows_of_the_table(database: Database, take: Import, tmp_path: Path) -> None:
    made = an_installation(branches=3)
    rows = list(runs(made))
    odd = rows[0] | {"results": [{"test": "x", "group": "g", "result": "PASSED?"}]}
    (tmp_path / "combined.json").write_text(json.dumps([odd, *rows[1:5]]))
    (tmp_path / "rows.json").write_text(
        json.dumps([{"branch": r["branch"], "remote": r["remote"], "json_full": json.dumps(r)} for r in rows[4:]])
    )
    account = await take("--results", tmp_path / "combined.json", tmp_path / "rows.json")
    assert account["taken"]["runs"] == len(rows)
    assert account["there"]["runs"] == 1
    assert account["notes"] == {"unknown result 'PASSED?'": 1}


async def test_what_is_wrong_is_said(database: Database, take: Import, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="no such file"):
        await take("--results", tmp_path / "nowhere")
    with pytest.raises(Refused, match="no 'bpf'; there is netdev"):
        await take("--results", tmp_path, "--project", "bpf")
    with pytest.raises(Refused, match="not a database of NIPA's"):
        await take("--dsn", database.dsn)
    for shown in ("postgresql://nipa:secret@db/nipa", "postgresql://nipa@db/nipa?password=secret"):
        with pytest.raises(Refused, match="list of processes"):
            await take("--dsn", shown)
    with pytest.raises(Refused, match="nothing to import"):
        await take()
    (tmp_path / "branches.json").write_text("{")
    with pytest.raises(Refused, match="--branches: of use with --results only"):
        await take("--branches", tmp_path / "branches.json")
    with pytest.raises(Refused, match="no JSON"):
        await take("--results", tmp_path, "--branches", tmp_path / "branches.json")


async def test_who_could_take_nothing_says_no(database: Database, take: Import, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("{")
    account = await take("--results", tmp_path / "run.json", code=1)
    assert [row["why"] for row in account["left"]] == ["cannot be read as JSON"]


def test_a_practice_installation_is_the_same_every_time() -> None:
    made = an_installation(branches=2)
    assert list(runs(made)) == list(runs(made))
    assert [branch["branch"] for branch in listed(made)] == [name_of(slot) for slot in made.slots()]
