"""What must not be left after a run: looked for in the tables, at the remote, on the hosts, among the processes."""

from collections.abc import Iterator

from shared.db.pool import Connection, connect
from shared.git.refs import series_ref
from shared.practice.tree import git
from tests.chaos.stage import Stage
from tests.support.processes import marked

NONE_OF = {
    "dead letter": "select queue, event_id, error from floor.inbox where state = 'dead'",
    "unhandled event": "select queue, event_id, attempts, error from floor.inbox where state = 'due'",
    "staged event": "select id, type from floor.outbox",
    "open work": "select room, kind, key, state, error from floor.work where state not in ('done', 'cancelled')",
    "lease": "select name, holder, until from floor.leases",
    "open post": "select id, context, status, answer from report.posts where status in ('intent', 'parked', 'refused')",
    "open cut": "select id, name, state, error from branch.cuts where state <> 'announced'",
    "unanswered request": "select id, why from branch.requests where cut_id is null",
    "unpublished series": "select series_id from branch.applied where published is null",
    "open plan": "select cut_id, state, reason from executor.plans where state <> 'done'",
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
}


async def unsettled(stage: Stage) -> list[str]:
    """What rooms have still to do; looked at while they run. A lease of a killed one is taken when it has run out."""
    conn = await connect(stage.database.dsn)
    try:
        kinds = ("unhandled event", "staged event", "open work", "open post", "open cut", "open plan", "open run")
        living = {str(room.process.pid) for room in stage.rooms.values() if room.process}
        rows = await conn.fetch("select name, holder from floor.leases")
        of_the_dead = [f"lease of the dead: {r['name']}" for r in rows if r["holder"].split(":")[1] not in living]
        return of_the_dead + [line for kind in kinds for line in await _rows(conn, kind)]
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
    return [*found, *_refs(stage, names), *_locks(stage), *_processes(stage)]


async def _rows(conn: Connection, kind: str) -> list[str]:
    return [f"{kind}: {dict(row)}" for row in await conn.fetch(NONE_OF[kind])]


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
            yield f"lock: {path.relative_to(stage.folder)}"


def _processes(stage: Stage) -> Iterator[str]:
    yield from (f"process {pid}: {command}" for pid, command in marked(stage.mark).items())
    for host in stage.fleet.hosts:
        yield from (f"process {pid} on {host.name}" for pid in host.processes())
