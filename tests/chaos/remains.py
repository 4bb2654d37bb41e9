"""What must not be left after a run: looked for in the tables, at the remote, on the hosts, among the processes."""

from collections.abc import Iterator

from shared.db.pool import Connection, connect
from shared.git.refs import series_ref
from shared.practice.tree import git
from tests.chaos.stage import SECONDS, Stage
from tests.support.processes import marked, running

NONE_OF = {
    "dead letter": "select queue, event_id, error from floor.inbox where state = 'dead'",
    "unhandled event": "select queue, event_id, attempts, error from floor.inbox where state = 'due'",
    "staged event": "select id, type from floor.outbox",
    "open work": "select room, kind, key, state, error from floor.work where state not in ('done', 'cancelled')",
    # That of a host, whose run ended while the database was away, was not given back: it runs out.
    "lease": "select name, holder, until from floor.leases where name not like 'host:%' or until > now()",
    "open post": "select id, context, status, answer from report.posts where status in ('intent', 'parked', 'refused')",
    "open cut": "select id, name, state, error from branch.cuts where state <> 'announced'",
    "unanswered request": "select id, why from branch.requests where cut_id is null",
    "unpublished series": "select series_id from branch.applied where published is null",
    "open plan": "select cut_id, state, reason from executor.plans where state <> 'done'",
    "open plan of checks": "select id, series_id, lane, state, why from executor.check_plans where state <> 'done'",
    "check without an answer": "select plan_id, check_name, patch, state, why from executor.check_tasks "
    "where state <> 'answered'",
    "busy host": "select address, state, reason from executor.hosts where state <> 'idle'",
    "open run": "select id, state from ledger.runs where state <> 'done'",
    "gap in the log": """
        select s.last, count(e.sequence) as events, min(e.sequence) as first, max(e.sequence) as newest
        from floor.sequencer s left join floor.events e on true group by s.last
        having count(e.sequence) <> s.last or max(e.sequence) <> s.last""",
    "event logged twice": "select id from floor.events group by id having count(*) > 1",
    "run that ended twice": """
        select body->'data'->>'run' as run, count(*) from floor.events
        where type like 'dev.netci.run.done%' group by 1 having count(*) > 1""",
    "standing told twice in a row": """
        select who, what, before, sequence from (
            select who, what, sequence, lag(what) over (partition by who order by sequence) as before from told
        ) t where before = what""",
    "standing told that is not remembered": """
        select t.who, t.what, s.standing from (select distinct on (who) * from told order by who, sequence desc) t
        left join report.standings s on array[s.remote, s.executor, s.stream] = t.who
        where s.standing is distinct from case t.what when 'recovered' then 'well' else t.what end""",
}
TOLD = """
with told as (
    select sequence, body->'data'->>'what' as what,
           array[body->'data'->>'remote', body->'data'->>'executor', body->'data'->>'stream'] as who
    from floor.events where type like 'dev.netci.remote.changed%' and body->'data'->>'what' <> 'rejected'
)
"""
"""What owners of remotes were told, before each of the two that ask for it. How often follows the clock; that nothing
is told twice does not."""


async def unsettled(stage: Stage) -> list[str]:
    """What rooms have still to do; looked at while they run. A lease of a killed one is taken when it has run out."""
    conn = await connect(stage.database.dsn)
    try:
        kinds = (
            "unhandled event", "staged event", "open work", "open post", "open cut", "open plan", "open plan of checks",
            "open run",
        )  # fmt: skip
        living = {str(room.process.pid) for room in stage.rooms.values() if room.process}
        rows = await conn.fetch("select name, holder from floor.leases")
        of_the_dead = [f"lease of the dead: {r['name']}" for r in rows if r["holder"].split(":")[1] not in living]
        hosts = await conn.fetch("select name from floor.leases where name like 'host:%' and until > now()")
        held = [f"lease of a host: {r['name']}" for r in hosts]
        return of_the_dead + held + [line for kind in kinds for line in await _rows(conn, kind)]
    finally:
        await conn.close()


async def remains(stage: Stage) -> list[str]:
    """Everything that is left over, when all rooms have been told to stop and have stopped."""
    conn = await connect(stage.database.dsn)
    try:
        found = [line for kind in NONE_OF for line in await _rows(conn, kind)]
        names = [row["name"] for row in await conn.fetch("select name from branch.cuts")]
    finally:
        await conn.close()
    return [*found, *_refs(stage, names), *_locks(stage), *_processes(stage), *_cages(stage)]


async def _rows(conn: Connection, kind: str) -> list[str]:
    sql = NONE_OF[kind]
    return [f"{kind}: {dict(row)}" for row in await conn.fetch(TOLD + sql if " told" in sql else sql)]


def _refs(stage: Stage, branches: list[str]) -> Iterator[str]:
    """At the remote are the branches that were cut and the series that were applied, and nothing else."""
    there = set(git(stage.testing, "for-each-ref", "--format=%(refname)").decode().split())
    wanted = {f"refs/heads/{name}" for name in branches}
    wanted |= {series_ref(series.message_ids[0]) for wave in stage.waves for series in wave.series}
    yield from (f"ref at the remote that nobody asked for: {ref}" for ref in sorted(there - wanted))
    yield from (f"ref that is not at the remote: {ref}" for ref in sorted(wanted - there))
    for store in sorted((stage.folder / "data").rglob("*.git")):
        refs = git(store, "for-each-ref", "--format=%(refname)").decode().split()
        yield from (f"temporary ref in {store.name}: {ref}" for ref in refs if "/tmp/" in ref)


def _locks(stage: Stage) -> Iterator[str]:
    for folder in ("data", "testing.git"):
        for path in sorted((stage.folder / folder).rglob("*.lock")):
            # Those of judges are locked, not made: they are there as long as what they guard.
            if path.parent.name != "judges":
                yield f"lock: {path.relative_to(stage.folder)}"


def _processes(stage: Stage) -> Iterator[str]:
    yield from (f"process {pid}: {command}" for pid, command in marked(stage.mark).items())
    yield from (f"process {pid} of a check: {words}" for pid, words in running(f"sleep {SECONDS}").items())
    for host in stage.fleet.hosts:
        yield from (f"process {pid} on {host.name}" for pid in host.processes())


def _cages(stage: Stage) -> Iterator[str]:
    """What a question needed is gone; work trees and judges are kept for the next."""
    for path in (*stage.checks.glob("*/scratch/*"), *stage.checks.glob("cages/cages/*")):
        yield f"left of a check: {path.relative_to(stage.checks)}"
