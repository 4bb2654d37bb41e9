"""Private things of each kind, planted in a database, with the words that would give them away."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from shared.blobs.pack import pack
from shared.blobs.record import keep
from shared.db.outbox import stage
from shared.db.pool import Pool
from shared.db.tokens import Order, create
from shared.events import BranchCut, TreeMoved, visibility_of
from shared.floor import Floor
from shared.ledger.write import Ending, Ledger
from shared.model.results import Case, Cause, Purpose, Result
from shared.model.tokens import digest_of, parse_scopes
from tests.services.report.web.builders import BRANCH, URL, World, a_cut, a_series, an_opening, chosen, sha

TRY = "net-next-try-of-ann-2026-11-23--10-00"


@dataclass(frozen=True)
class Planted:
    """`words` may be in no answer. `ids` are what an outsider might guess. `events`: how many tell of it, and to whom
    beside an admin they are told: the holders of `events:read` for this `remote` or `project`.
    """

    words: Sequence[str]
    ids: Sequence[str] = ()
    events: int = 0
    remote: str = ""
    project: str = ""


@dataclass(frozen=True)
class Ground:
    """Where things are planted."""

    floor: Floor
    owner: Pool
    world: World
    ledger: Ledger = field(default_factory=lambda: Ledger("executor"))


async def _a_run(ground: Ground, word: str, **more: Any) -> tuple[int, str]:
    """A closed run with a test, a subtest, a log and an artifact that all say `word`; its number and its pack."""
    log = f"{word}-group/{word}-test/0/stdout"
    blob = await keep(ground.floor, pack({log: f"{word} said\n".encode()}), more.get("visibility", "public"))
    cases = (
        Case(f"{word}-group", f"{word}-test", Result.FAIL, log=log, detail=f"{word} detail", crashes=(f"{word} BUG",)),
        Case(f"{word}-group", f"{word}-test", Result.FAIL, subtest=f"{word}-sub"),
    )
    file = await keep(ground.floor, f"{word} file".encode(), "operator")
    ending = Ending(reason=f"{word} reason", log_pack=blob, artifacts={f"{word}.txt": (file, 9)})
    async with ground.owner.acquire() as conn, conn.transaction():
        run = await ground.ledger.open(conn, an_opening(more.pop("cut"), more.pop("branch"), **more))
        await ground.ledger.append(conn, run, cases)
        await ground.ledger.finish(conn, run, ending)
    await ground.owner.execute(
        "insert into report.rollups values ($1, $2, 1, 0, 1, 0, 0, 0, 0, $3, '[]') on conflict do nothing", run.id,
        more.get("cut_id"), [{"group": f"{word}-group", "test": f"{word}-test"}],
    )  # fmt: skip
    return run.id, blob


async def a_try(ground: Ground) -> Planted:
    """A branch somebody tries, with what is on it, its run and what is told of it."""
    owner, now = ground.owner, datetime.now(UTC)
    series = await a_series(owner, 90, "net: a series that everybody may see")
    cut = await a_cut(
        owner,
        TRY,
        now,
        purpose="try",
        asked_by="trysecret-ann",
        why="trysecret why",
        commit=sha("5"),
        state="announced",
    )
    log = await keep(ground.floor, b"trysecret conflict\n", "operator")
    await chosen(owner, cut, series, 1, reason="trysecret selection", log=log)
    seen = visibility_of(Purpose.TRY)
    run, blob = await _a_run(
        ground, "trysecret", cut=cut, branch=TRY, remote="metal", executor="trysecret-exec", visibility=seen,
        kernel_commit=sha("5"),
    )  # fmt: skip
    await owner.execute(
        "insert into report.branches (cut_id, project, stream, branch, state, settled, text) "
        "values ($1, 'netdev', 'net-next', $2, 'red', true, 'trysecret text')", cut, TRY,
    )  # fmt: skip
    await owner.execute(
        "insert into executor.plans (cut_id, remote, executor, project, stream, branch, commit, deadline, reason) "
        "values ($1, 'metal', 'trysecret-exec', 'netdev', 'net-next', $2, $3, now(), 'trysecret plan')",
        cut, TRY, sha("5"),
    )  # fmt: skip
    said = BranchCut(
        project="netdev", cut=cut, stream="net-next", branch=TRY, commit=sha("5"), base=sha("b"), purpose=Purpose.TRY,
        slot=now, public_url=URL, taken=1, left_out=0,
    )  # fmt: skip
    async with owner.acquire() as conn, conn.transaction():
        await stage(conn, "branch", said, visibility=seen)
    words = ["trysecret", TRY, sha("5"), blob, log]
    return Planted(words, [TRY, str(run), str(cut), blob, log, str(series), sha("5")], 4)


async def a_trial(ground: Ground) -> Planted:
    """A lab tries its program on a branch that everybody sees."""
    run, blob = await _a_run(
        ground, "trialsecret", cut=ground.world.cut, branch=BRANCH, remote="trialsecret-lab", executor="x", trial=True,
        link="https://trialsecret.example.org/",
    )  # fmt: skip
    return Planted(["trialsecret", blob], [str(run), blob, "trialsecret-lab"], 3, remote="trialsecret-lab")


async def a_token(ground: Ground) -> Planted:
    order = Order("tokensecret", "metal", parse_scopes(["results:write:*"]))
    async with ground.owner.acquire() as conn:
        minted = await create(conn, order, "tokensecret-ann")
    digest = digest_of(minted.text).hex()
    return Planted(["tokensecret", minted.id, minted.text, digest], [minted.id, digest])


async def a_dead_letter(ground: Ground) -> Planted:
    await ground.owner.execute("insert into floor.queues (name, types) values ('report', '{}') on conflict do nothing")
    await ground.owner.execute(
        "insert into floor.inbox (queue, event_id, sequence, state, attempts, error) "
        "values ('report', gen_random_uuid(), 1, 'dead', 3, 'lettersecret Traceback')"
    )
    await ground.owner.execute(
        "insert into floor.work (room, kind, key, payload, state, error, settled) "
        "values ('report', 'fold', 'lettersecret', '{\"x\": \"lettersecret\"}', 'dead', 'lettersecret', now())"
    )
    await ground.owner.execute(
        "insert into floor.audit (who, what, why) values ('lettersecret', 'drop', 'lettersecret')"
    )
    return Planted(["lettersecret"], ["lettersecret"])


async def a_machine(ground: Ground) -> Planted:
    """Addresses in all places where machines leave them."""
    owner, at = ground.owner, "root@machinesecret.lab.internal:2222"
    await owner.execute(
        "insert into executor.hosts (remote, executor, address, label, state, reason) "
        "values ('metal', 'vmksft-net', $1, $1, 'broken', $2)", at, f"{at} and 192.0.2.77 do not answer",
    )  # fmt: skip
    await owner.execute(
        "insert into floor.health (room, name, project, ok, text) values ('executor', $1, 'netdev', false, $2)",
        f"host {at}", f"{at}: refused",
    )  # fmt: skip
    await owner.execute(
        "insert into floor.processes (id, rooms, host, pid) values ('y', '{report}', 'machinesecret.example', 7)"
    )
    async with owner.acquire() as conn, conn.transaction():
        opening = an_opening(ground.world.cut, BRANCH, remote="metal", executor="broken")
        run = await ground.ledger.open(conn, opening)
        broken = Case("g", "t", Result.ERROR, cause=Cause.INFRA, detail=f"{at} went away")
        await ground.ledger.append(conn, run, [broken])
        await ground.ledger.abandon(conn, run, "infra", f"{at}: no answer from 192.0.2.77")
    await owner.execute("update branch.cuts set error = $1", f"asking {at} for its refs")
    return Planted(["machinesecret", "192.0.2.77"], [str(run.id)])


async def a_parked_post(ground: Ground) -> Planted:
    await ground.owner.execute(
        "insert into report.posts (project, channel, series_id, patch_id, external_patch, context, state, text, mode, "
        "status, answer, settled) values ('netdev', 'patchwork', $1, 1, 5, 'parkedsecret', 'fail', 'parkedsecret', "
        "'on', 'parked', 'parkedsecret', now())", ground.world.good,
    )  # fmt: skip
    return Planted(["parkedsecret"])


async def another_projects_events(ground: Ground) -> Planted:
    async with ground.owner.acquire() as conn, conn.transaction():
        for visibility in ("operator", "project"):
            moved = TreeMoved(project="bpfsecret", tree=f"bpfsecret-{visibility}", head=sha("7"))
            await stage(conn, "branch", moved, visibility=visibility)
    return Planted(["bpfsecret", sha("7")], ["bpfsecret"], 2)


async def a_projects_events(ground: Ground) -> Planted:
    async with ground.owner.acquire() as conn, conn.transaction():
        moved = TreeMoved(project="netdev", tree="insidesecret", head=sha("8"))
        await stage(conn, "branch", moved, visibility="project")
    return Planted(["insidesecret", sha("8")], events=1, project="netdev")


async def a_rejection(ground: Ground) -> Planted:
    """What a lab sent that was not taken is for its owner."""
    await ground.owner.execute(
        "insert into ingest.rejections (remote, path, status, detail) "
        "values ('metal', '/api/v1/lab/rejectsecret', 400, 'rejectsecret')"
    )
    await ground.owner.execute(
        "insert into ingest.answers (remote, key, digest, status, body) "
        "values ('metal', 'rejectsecret', '\\x00', 200, $1)",
        {"answer": "rejectsecret"},
    )
    return Planted(["rejectsecret"], ["rejectsecret"])


KINDS: dict[str, Callable[[Ground], Awaitable[Planted]]] = {
    "a try": a_try,
    "a trial": a_trial,
    "a token": a_token,
    "a dead letter": a_dead_letter,
    "a machine": a_machine,
    "a parked post": a_parked_post,
    "another project's events": another_projects_events,
    "a project's own events": a_projects_events,
    "a rejection": a_rejection,
}
