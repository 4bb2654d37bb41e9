"""A NIPA installation to come over from: its files in a folder or its tables in a database, made by chance from a seed.

As much like a real one as its contracts say: retries, flakes, crashes, subtests that only the retry came to, devices,
pending runs, and the odd thing that an import has to stumble over without falling.
"""

import asyncio
import json
import random
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from shared.db.pool import Connection, connect

Json = dict[str, Any]

SCHEMA = """
create table results (branch varchar(80), remote varchar(80), executor varchar(80), branch_date varchar(17),
                      t_start timestamp, t_end timestamp, json_normal text, json_full text);
create index on results (branch desc);
create table branches (branch varchar(80), stream varchar(60), t_date timestamp, base varchar(80), url varchar(200),
                       info text);
create table results_pending (id serial, branch varchar(80), remote varchar(80), executor varchar(80),
                              branch_date varchar(17), t_start timestamp);
create table stability (remote varchar(80), executor varchar(80), grp varchar(80), test varchar(128),
                        subtest varchar(256), autoignore boolean default false, pass_cnt integer not null default 0,
                        fail_cnt integer not null default 0, pass_srk integer not null default 0,
                        fail_srk integer not null default 0, pass_cur integer not null default 0,
                        fail_cur integer not null default 0, last_update timestamp, passing timestamp);
create table devices_info (remote varchar(80), executor varchar(80), changed timestamp, info text);
"""


@dataclass(frozen=True)
class Installation:
    """How much there is. `newest` is the date of the last branch; they are three hours apart."""

    newest: datetime = datetime(2026, 8, 20, 12, tzinfo=UTC)
    branches: int = 300
    remotes: int = 2
    executors: int = 2
    tests: int = 4
    subtests: int = 2
    seed: int = 1

    @property
    def labs(self) -> list[tuple[str, str]]:
        return [(f"lab-{r}", f"exec-{r}-{e}") for r in range(self.remotes) for e in range(self.executors)]

    def slots(self) -> list[datetime]:
        first = self.newest - timedelta(hours=3) * (self.branches - 1)
        return [first + timedelta(hours=3) * n for n in range(self.branches)]

    def has_device(self, remote: str) -> bool:
        """The last remote is one with hardware."""
        return remote == f"lab-{self.remotes - 1}"


def name_of(slot: datetime) -> str:
    return f"net-next-{slot:%Y-%m-%d--%H-%M}"


def listed(made: Installation) -> list[Json]:
    """branches.json."""
    url = "https://github.com/linux-netdev/testing.git"
    return [
        {"branch": name_of(slot), "date": (slot + timedelta(seconds=3)).isoformat(), "base": f"{n:040x}",
         "url": f"{url} {name_of(slot)}"}
        for n, slot in enumerate(made.slots(), 1)
    ]  # fmt: skip


def infos(made: Installation) -> dict[str, Json]:
    """branches-info.json."""
    pull = "https://git.kernel.org/pub/scm/linux/kernel/git/netdev/net.git"
    return {
        name_of(slot): {
            "base-pulls": {pull: ("okay", "resolved", "fail")[n % 3]}, "series": [9000 + n, 9001 + n], "prs": [],
            "extras": [], "new-changes": True,
        }
        for n, slot in enumerate(made.slots())
    }  # fmt: skip


def runs(made: Installation) -> Iterator[Json]:
    """Every run as the collector has it, branch by branch."""
    chance = random.Random(made.seed)
    for slot in made.slots():
        for remote, executor in made.labs:
            yield _run(made, chance, slot, remote, executor)


def _run(made: Installation, chance: random.Random, slot: datetime, remote: str, executor: str) -> Json:
    start = slot + timedelta(minutes=chance.randint(3, 20), microseconds=chance.randint(0, 999_999))
    link = f"https://{remote}.example.org/{executor}/{int(start.timestamp()) // 60 % 1_000_000}"
    tests = [_test(made, chance, executor, n, link) for n in range(made.tests)]
    run: Json = {
        "executor": executor, "branch": name_of(slot), "start": str(start), "remote": remote, "link": link,
        "end": str(start + timedelta(minutes=chance.randint(20, 160))), "results": tests,
    }  # fmt: skip
    if made.has_device(remote):
        firmware = 28 + (slot - made.slots()[0]).days // 10
        run["device"] = json.dumps({"driver": "mlx5_core", "fw": f"{firmware}.1"})
    return run


def _test(made: Installation, chance: random.Random, executor: str, number: int, link: str) -> Json:
    failed = chance.random() < 0.06
    test: Json = {
        "test": f"test-{number}", "group": f"selftests-{executor}", "result": "fail" if failed else "pass",
        "link": f"{link}/{number}-test-{number}", "time": round(chance.uniform(0.2, 300), 1),
    }  # fmt: skip
    if failed and chance.random() < 0.7:
        test["retry"] = chance.choice(["pass", "pass", "fail"])
    if failed and chance.random() < 0.1:
        test["crashes"] = ["fib6_walk:fib6_clean_tree:rt6_disable_ip:addrconf_ifdown:addrconf_notify"]
    elif not failed and chance.random() < 0.05:
        test["result"] = "skip"
    if made.subtests:
        test["results"] = [_subtest(n, test, chance) for n in range(made.subtests)]
    return test


def _subtest(number: int, test: Json, chance: random.Random) -> Json:
    """The first tells of its test's failure."""
    sub: Json = {"test": f"case-{number}", "result": test["result"] if number == 0 else "pass"}
    if "retry" in test:
        sub["retry"] = test["retry"] if number == 0 else "pass"
    return sub | ({"time": round(chance.uniform(0, 3), 2)} if chance.random() < 0.5 else {})


def normal(run: Json) -> Json:
    return run | {"results": [{k: v for k, v in test.items() if k != "results"} for test in run["results"]]}


def stability(made: Installation) -> list[Json]:
    """The table of counters: older than any result that is still there. Tests of the first lab alone are steady."""
    chance = random.Random(made.seed + 1)
    newest = made.newest.replace(tzinfo=None)
    return [
        {"remote": remote, "executor": executor, "grp": f"selftests-{executor}", "test": f"test-{n}",
         "subtest": sub, "autoignore": made.has_device(remote), "pass_cnt": 2000 + chance.randint(0, 99),
         "fail_cnt": chance.randint(0, 99), "pass_srk": 400, "fail_srk": 3, "pass_cur": 20, "fail_cur": 0,
         "last_update": newest, "passing": newest if remote == "lab-0" or n == 0 else None}
        for remote, executor in made.labs
        for n in range(made.tests)
        for sub in (None, *(f"case-{s}" for s in range(made.subtests)))
    ]  # fmt: skip


def devices(made: Installation) -> list[Json]:
    """What the machines said of themselves a year before the oldest result."""
    changed = made.slots()[0].replace(tzinfo=None) - timedelta(days=365)
    return [
        {"remote": remote, "executor": executor, "changed": changed, "info": '{"driver": "mlx5_core", "fw": "27.1"}'}
        for remote, executor in made.labs
        if made.has_device(remote)
    ]


def write_files(made: Installation, folder: Path) -> None:
    """The installation as files: one result file a run in a folder for each remote, lists beside them."""
    for number, run in enumerate(runs(made)):
        place = folder / "results" / run["remote"]
        place.mkdir(parents=True, exist_ok=True)
        (place / f"results-{number}.json").write_text(json.dumps({k: v for k, v in run.items() if k != "remote"}))
    odd = folder / "results" / "lab-0"
    odd.mkdir(parents=True, exist_ok=True)
    newest = name_of(made.newest)
    (odd / "results.json").write_text(json.dumps([{"url": None, "branch": newest, "executor": "late"}]))
    (odd / "cut-off.json").write_text('{"branch": "net-next-2026-0')
    (odd / "undated.json").write_text(json.dumps({"branch": "main", "executor": "x", "results": []}))
    _dump(folder / "branches.json", listed(made))
    _dump(folder / "branches-info.json", infos(made))
    _dump(
        folder / "stability.json",
        [row | {k: _flask(row[k]) for k in ("last_update", "passing")} for row in stability(made)],
    )
    _dump(folder / "devices.json", [row | {"changed": _flask(row["changed"])} for row in devices(made)])
    _write_configuration(made, folder)


def _write_configuration(made: Installation, folder: Path) -> None:
    remotes = sorted({remote for remote, _ in made.labs})
    _dump(folder / "remote_db.json", [{"name": r, "url": f"https://{r}.example.org/results.json"} for r in remotes])
    ignored = [{"remote": remotes[0], "test": "test-1", "comment": "known to be slow"}]
    _dump(folder / "filters.json", {"remotes": remotes[:1], "ignore-results": ignored, "ignore-crashes": []})
    config = folder / "config"
    config.mkdir(exist_ok=True)
    (config / "pw.config").write_text(
        "[patchwork]\nserver=patchwork.kernel.org\nproject=netdevbpf\ntoken=very-secret\nuser=7\n[log]\ntype=org\n"
    )
    (config / "brancher.config").write_text(
        "[filters]\nignore_delegate=bpf\ngate_checks=build_clang\n[trees]\nnet-next=net-next, /srv/net-next, origin\n"
        "[target]\npublic_url=https://github.com/linux-netdev/testing.git\npush_url=git@github.com:linux-netdev/testing\n"
        "branch_pfx=net-next-\nfreq=3\npull=git://git.kernel.org/pub/scm/linux/kernel/git/netdev/net.git\n"
        "[db]\ndb=nipa\n"
    )


def _dump(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value))


def _flask(time: datetime | None) -> str | None:
    return None if time is None else f"{time:%a, %d %b %Y %H:%M:%S} GMT"


async def fill(conn: Connection, made: Installation) -> None:
    """The installation as tables of an empty database."""
    await conn.execute(SCHEMA)
    rows = (_result_row(run) for run in runs(made))
    await conn.copy_records_to_table("results", records=rows)
    facts = infos(made)
    branches = [
        (b["branch"], "net-next", _plain(b["date"]), b["base"], b["url"], json.dumps(facts[b["branch"]]))
        for b in listed(made)
    ]
    await conn.copy_records_to_table("branches", records=branches)
    await conn.copy_records_to_table("stability", records=[tuple(row.values()) for row in stability(made)])
    await conn.copy_records_to_table("devices_info", records=[tuple(row.values()) for row in devices(made)])
    await conn.execute(
        "insert into results_pending (branch, remote, executor) values ($1, 'lab-0', 'late')", name_of(made.newest)
    )


def _result_row(run: Json) -> tuple[Any, ...]:
    full = json.dumps(run)
    return (
        run["branch"], run["remote"], run["executor"], run["branch"][-17:], _plain(run["start"]), _plain(run["end"]),
        json.dumps(normal(run)), full,
    )  # fmt: skip


def _plain(time: str) -> datetime:
    return datetime.fromisoformat(time).astimezone(UTC).replace(tzinfo=None)


async def _main(where: str, *sizes: str) -> None:
    made = Installation(**{key: int(value) for key, value in (size.split("=") for size in sizes)})  # type: ignore[arg-type]
    if "://" not in where:
        write_files(made, Path(where))
        return
    conn = await connect(where)
    try:
        await fill(conn, made)
    finally:
        await conn.close()


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:]))
