"""What other rooms would have recorded, put into their tables directly, as the owner."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from shared.db.outbox import stage
from shared.db.pool import Connection, Pool
from shared.events import BranchCut
from shared.ledger import Check
from shared.ledger.write import Ending, Ledger, Opening, OpenRun
from shared.model.ids import OWN_REMOTE
from shared.model.results import Case, Cause, CheckState, Purpose, Result
from shared.settings import Settings, parse

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)

TOML = """
[web]
public_url = "https://ci.example.org"
[projects.netdev]
post = "{post}"
[projects.netdev.patchwork]
url = "{url}"
project = "netdevbpf"
token_env = "TEST_PATCHWORK_TOKEN"
timeout = "5s"
[projects.netdev.trees.net-next]
git = "https://git.example.org/net-next.git"
[projects.netdev.streams.net-next]
tree = "net-next"
push = "/nowhere"
skips = "{skips}"
[[remotes]]
name = "metal"
report = true
[[remotes]]
name = "new"
report = false
[[executors]]
remote = "metal"
name = "net"
streams = ["net-next"]
suite = {{ kind = "kselftest" }}
driver = {{ kind = "ssh" }}
[[executors]]
remote = "new"
name = "net"
streams = ["net-next"]
suite = {{ kind = "kselftest" }}
driver = {{ kind = "ssh" }}
"""

OTHER_LAB = """
[[remotes]]
name = "wood"
report = true
[[executors]]
remote = "wood"
name = "drv"
streams = ["net-next"]
suite = { kind = "kselftest" }
driver = { kind = "ssh" }
"""


def some_settings(
    url: str = "http://127.0.0.1:1", post: str = "off", skips: str = "warning", labs: int = 1
) -> Settings:
    """One project, one stream, an executor that counts and one that does not; with `labs=2` another that counts."""
    return parse(TOML.format(url=url, post=post, skips=skips) + (OTHER_LAB if labs == 2 else ""))


async def a_series(
    conn: Connection | Pool,
    title: str = "tcp: be quick",
    patches: Sequence[int] = (1,),
    state: str = "active",
    message_id: str = "",
    reason: str = "",
) -> int:
    """A series whose patches have these numbers on Patchwork. Returns its id."""
    external = await conn.fetchval("select coalesce(max(external_id), 0) + 1 from ingest.series")
    id_ = await conn.fetchval(
        """insert into ingest.series (project, source, external_id, message_id, subject, title, total, received, state,
                                      reason)
           values ('netdev', 'patchwork', $1, $2, $3, $3, $4, $4, $5, $6) returning id""",
        external, message_id or f"series-{external}@example.org", title, len(patches), state, reason,
    )  # fmt: skip
    for number, patch in enumerate(patches, 1):
        await conn.execute(
            """insert into ingest.patches (series_id, number, external_id, message_id, title)
               values ($1, $2, $3, $4, $5)""",
            id_, number, patch, f"patch-{patch}@example.org", f"{title}, part {number}",
        )  # fmt: skip
    return int(id_)


async def supersede(conn: Connection | Pool, series: int, state: str = "superseded") -> None:
    await conn.execute("update ingest.series set state = $2 where id = $1", series, state)


async def an_outcome(
    conn: Connection | Pool,
    series: int,
    outcome: str = "applied",
    tree: str = "net-next",
    patch_number: int | None = None,
    files: Sequence[str] = (),
    already: bool = False,
) -> None:
    """How a series applied."""
    await conn.execute(
        """insert into branch.applied (series_id, revision, project, outcome, tree, tree_reason, patch_number, files,
                                       already, reason, published)
           values ($1, 1, 'netdev', $2, $3, 'Clearly marked for net-next', $4, $5, $6, 'as git says', now())
           on conflict (series_id, revision) do update set outcome = excluded.outcome, at = clock_timestamp()""",
        series, outcome, tree, patch_number, list(files), already,
    )  # fmt: skip


async def a_cut(
    conn: Connection | Pool,
    take: Sequence[int] = (),
    name: str = "net-next-2026-11-23--09-00",
    announced: datetime | None = None,
    purpose: str = "scheduled",
) -> int:
    """An announced branch with these series on it."""
    when = announced or datetime.now(UTC)
    cut = await conn.fetchval(
        """insert into branch.cuts (project, stream, slot, purpose, name, state, tree, commit, announced)
           values ('netdev', 'net-next', $2::timestamptz + random() * interval '1 hour', $3, $1, 'announced',
                   'net-next', $4, $2::timestamptz)
           returning id""",
        name, when, purpose, "a" * 40,
    )  # fmt: skip
    for position, series in enumerate(take):
        await conn.execute(
            """insert into branch.selections (cut_id, series_id, revision, position, decision, rule, reason)
               values ($1, $2, 1, $3, 'take', 'pending', 'passed its gate')""",
            cut, series, position,
        )  # fmt: skip
    return int(cut)


async def leave(conn: Connection | Pool, cut: int, series: int, rival: int | None, rule: str = "conflict") -> None:
    """A series left out of a cut."""
    await conn.execute(
        """insert into branch.selections (cut_id, series_id, revision, position, decision, rule, reason, patch_number,
                                          files, rival)
           values ($1, $2, 1, 99, 'leave', $4, 'does not merge', 1, '{net/ipv4/tcp.c}', $3)""",
        cut, series, rival, rule,
    )  # fmt: skip


async def announce(conn: Connection, cut: int, name: str = "net-next-2026-11-23--09-00") -> None:
    """The event of a cut."""
    event = BranchCut(
        project="netdev", cut=cut, stream="net-next", branch=name, commit="a" * 40, base="b" * 40,
        purpose=Purpose.SCHEDULED, slot=NOW, public_url="https://git.example.org/testing.git", taken=1, left_out=0,
    )  # fmt: skip
    await stage(conn, "branch", event)


def a_case(
    test: str = "tls", result: str = "pass", attempt: int = 0, cause: str | None = None, crash: bool = False
) -> Case:
    return Case(
        "selftests-net", test, Result(result), cause=Cause(cause) if cause else None, attempt=attempt,
        crashes=("WARNING: net/core/dev.c",) if crash else (),
    )  # fmt: skip


async def start(
    pool: Pool, cut: int, remote: str = "metal", executor: str = "net", expected: datetime | None = None
) -> OpenRun:
    """Open a run as its executor does, event and all."""
    opening = Opening(
        "netdev", remote, executor, "net-next", "net-next-2026-11-23--09-00", cut_id=cut,
        expected_end=expected or datetime.now(UTC) + timedelta(hours=1),
    )  # fmt: skip
    async with pool.acquire() as conn, conn.transaction():
        return await Ledger("executor").open(conn, opening)


async def end(pool: Pool, run: OpenRun, cases: Sequence[Case], ending: Ending | None = None) -> None:
    """Write a run's cases and close it."""
    ledger = Ledger("executor")
    async with pool.acquire() as conn, conn.transaction():
        if cases:
            await ledger.append(conn, run, cases)
        await ledger.finish(conn, run, ending or Ending())


async def a_run(pool: Pool, cut: int, cases: Sequence[Case], remote: str = "metal", executor: str = "net") -> OpenRun:
    """A whole run at once."""
    run = await start(pool, cut, remote, executor)
    await end(pool, run, cases)
    return run


async def check_run(pool: Pool, series: int, attempt: int = 0, executor: str = "checks-tree") -> OpenRun:
    """A run of our own checks on a series, open."""
    opening = Opening("netdev", OWN_REMOTE, executor, series_id=series, attempt=attempt)
    async with pool.acquire() as conn, conn.transaction():
        return await Ledger("executor").open(conn, opening)


async def say(pool: Pool, run: OpenRun, series: int, *said: tuple[str, int, str, str], revision: int = 1) -> None:
    """What checks of ours say: context, patch, state and text of each, each in a transaction of its own."""
    for context, patch, state, text in said:
        check = Check("netdev", series, revision, context, CheckState(state), run.id, patch, text)
        async with pool.acquire() as conn, conn.transaction():
            await Ledger("executor").check(conn, check)
