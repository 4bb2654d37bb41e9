"""A series settled on its tree, and published."""

import shutil
from collections.abc import Mapping
from typing import Any

import pytest

from services.branch.apply import Applying
from services.branch.handlers import on_tree_moved
from services.branch.publish import Publishing
from shared.db.pool import Record
from shared.db.work import Desk, Do, claim, enqueue
from shared.events import TreeMoved
from shared.git.refs import push, series_ref
from shared.git.store import Store
from shared.model.ids import SeriesId, Sha
from tests.services.branch.world import World
from tests.shared.git.build import commit, git, head


async def settle_all(world: World) -> None:
    """Do all work that is due, as the room's desk does."""
    kinds: dict[str, Do] = {
        "apply": Applying(world.floor, world.repos, world.trees),
        "publish": Publishing(world.floor, world.repos),
    }
    desk = Desk(world.floor.pool, world.floor.bells, "branch", "test", kinds)
    while work := await claim(world.floor.pool, "branch", list(kinds), "test"):
        await desk.do(work)


async def ask(world: World, series: SeriesId, **payload: object) -> None:
    async with world.floor.pool.acquire() as conn:
        await enqueue(conn, "branch", "apply", str(series), payload)


async def row(world: World, series: SeriesId) -> Record:
    found = await world.owner.fetchrow("select * from branch.applied where series_id = $1", series)
    assert found is not None
    return found


async def events(world: World) -> list[str]:
    rows = await world.owner.fetch(
        "select type, body->'data' as data from floor.outbox union all select type, body->'data' from floor.events"
    )
    return sorted(r["type"].removeprefix("dev.netci.") for r in rows if "tree.moved" not in r["type"])


async def settled(world: World, series: SeriesId, **payload: object) -> Record:
    await ask(world, series, **payload)
    await settle_all(world)
    return await row(world, series)


async def test_a_marked_series_is_applied_and_its_ref_published_before_it_is_announced(world: World) -> None:
    series = await world.series(world.change("net/core/dev.c", 3, "changed"), name="good", marked=True)
    found = await settled(world, series)
    assert found["outcome"] == "applied"
    assert (found["tree"], found["tree_reason"]) == ("next", "Clearly marked for next")
    ref = series_ref("good@example.org")
    assert world.tags() == {ref.removeprefix("refs/tags/"): found["head"]}
    assert found["public_url"] == "https://example.org/testing.git"
    assert await events(world) == ["series.applied.v1"]
    assert git(world.remote, "rev-parse", f"{found['head']}^") == head(world.next) == found["base"]


async def test_nothing_is_announced_while_the_remote_is_down(world: World) -> None:
    world.remote.rename(world.folder / "away.git")
    series = await world.series(world.change("net/core/dev.c", 3, "changed"))
    await settled(world, series)
    assert await events(world) == []
    assert await world.floor.pool.fetchval("select count(*) from branch.applied_v") == 0
    health = await world.owner.fetchrow("select ok, text from floor.health where name = 'push netdev series'")
    assert health is not None
    assert health is not None
    assert not health["ok"]
    (world.folder / "away.git").rename(world.remote)
    await world.owner.execute("update floor.work set due = now()")
    await settle_all(world)
    assert await events(world) == ["series.applied.v1"]


async def test_a_fix_goes_to_the_fixes_tree_that_has_the_broken_commit(world: World) -> None:
    broken = git(world.net, "log", "-1", "--format=%h", "--", "net/core/fix.c")
    letters = world.change("README", 2, "changed", tree="net")
    series = await world.series(letters, trees=("next", "net"))
    await world.owner.execute("update ingest.patches set fixes = $1 where series_id = $2", [f'{broken} ("x")'], series)
    found = await settled(world, series)
    assert found["tree"] == "net"
    assert found["tree_reason"] == f"Guessed tree name to be net: it fixes {broken}, which net has"


async def test_without_a_mark_it_goes_where_it_applies_and_every_attempt_is_recorded(world: World) -> None:
    letters = world.change("net/core/fix.c", 3, "changed", tree="net")
    found = await settled(world, await world.series(letters, trees=("next", "net")))
    assert found["tree"] == "net"
    assert "not to next" in found["tree_reason"]
    assert [(a["tree"], a["ok"]) for a in found["attempts"]] == [("next", False), ("net", True)]
    said = (await world.floor.blobs.get(found["log"])).decode()
    assert "== next:" in said
    assert "== net: applies" in said


async def test_a_series_that_applies_nowhere_is_refused_naming_patch_and_files(world: World) -> None:
    letters = world.change("net/core/dev.c", 3, "changed")
    commit(world.next, "in the way", {"net/core/dev.c": "all new\n"})
    await world.trees.refresh("netdev", "next")
    found = await settled(world, await world.series(letters))
    assert (found["outcome"], found["patch_number"]) == ("refused", 1)
    assert "net/core/dev.c" in found["files"]
    assert "does not apply to next" in found["reason"]
    assert await events(world) == ["series.refused.v1"]


async def test_what_is_in_the_tree_already_is_said_to_be(world: World) -> None:
    letters = world.change("net/core/dev.c", 3, "changed", subject="a fine change")
    git(world.next, "am", "-q", stdin=letters[0])
    await world.trees.refresh("netdev", "next")
    found = await settled(world, await world.series(letters))
    assert found["already"]
    assert "is in next already" in found["reason"]


async def test_a_refused_series_is_tried_again_and_announced_when_it_applies(world: World) -> None:
    letters = world.change("net/core/dev.c", 3, "changed")
    before = head(world.next)
    commit(world.next, "in the way", {"net/core/dev.c": "all new\n"})
    await world.trees.refresh("netdev", "next")
    series = await world.series(letters)
    await settled(world, series)
    git(world.next, "reset", "-q", "--hard", before)
    await world.trees.refresh("netdev", "next")
    assert (await settled(world, series))["outcome"] == "refused", "nobody asked to try again"
    found = await settled(world, series, again=True)
    assert (found["outcome"], found["tries"]) == ("applied", 2)
    assert await events(world) == ["series.applied.v1", "series.refused.v1"]


async def test_a_hostile_patch_is_refused_with_the_reason(world: World) -> None:
    letters = [
        letter.replace(b"net/core/dev.c", b"../../etc/passwd") for letter in world.change("net/core/dev.c", 3, "x")
    ]
    found = await settled(world, await world.series(letters))
    assert found["outcome"] == "refused"
    assert ".." in found["reason"]


async def test_strange_bytes_of_a_mail_are_stored_harmless(world: World) -> None:
    (letter,) = world.change("net/core/dev.c", 3, "changed")
    commit(world.next, "in the way", {"net/core/dev.c": "all new\n"})
    await world.trees.refresh("netdev", "next")
    strange = letter.replace(b"[PATCH] change", b"[PATCH] \x1b[31mred\xff\xe2\x80\xae change")
    found = await settled(world, await world.series([strange]))
    assert found["outcome"] == "refused"
    assert "red" in found["reason"]
    assert found["reason"].isprintable()


@pytest.mark.parametrize("state", ["superseded", "withdrawn"])
async def test_a_series_that_is_not_wanted_any_more_leaves_no_trace(world: World, state: str) -> None:
    series = await world.series(world.change("net/core/dev.c", 3, "changed"), state=state)
    await ask(world, series)
    await settle_all(world)
    assert await world.owner.fetchval("select count(*) from branch.applied") == 0
    assert await events(world) == []


async def test_a_stop_between_push_and_announcement_costs_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    series = await world.series(world.change("net/core/dev.c", 3, "changed"))

    async def die(*_: object, **__: object) -> None:
        raise RuntimeError("killed")

    with monkeypatch.context() as patch:
        patch.setattr("services.branch.publish.stage", die)
        await settled(world, series)
    assert len(world.tags()) == 1
    assert await events(world) == []
    assert (await row(world, series))["published"] is None
    await world.owner.execute("update floor.work set due = now()")
    await settle_all(world)
    assert await events(world) == ["series.applied.v1"]
    assert list(world.tags().values()) == [(await row(world, series))["head"]]


async def test_a_store_that_was_deleted_before_publishing_starts_the_series_anew(world: World) -> None:
    series = await world.series(world.change("net/core/dev.c", 3, "changed"))
    await ask(world, series)
    work = await claim(world.floor.pool, "branch", ["apply"], "test")
    assert work is not None
    await Applying(world.floor, world.repos, world.trees)(work)
    shutil.rmtree(world.settings.data / "git")
    await settle_all(world)
    assert await events(world) == []
    await world.owner.execute("update branch.applied set at = at - interval '2 minutes'")
    await world.owner.execute("update floor.work set due = now() where state = 'ready'")
    await settle_all(world)
    assert await events(world) == ["series.applied.v1"]


async def test_many_series_are_pushed_together(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    pushed: list[int] = []

    async def counted(store: Store, url: str, refs: Mapping[str, Sha], **how: Any) -> None:
        pushed.append(len(refs))
        await push(store, url, refs, **how)

    monkeypatch.setattr("services.branch.publish.push", counted)
    for n in range(1, 8):
        series = await world.series(world.change("net/core/dev.c", n, "changed"))
        await ask(world, series)
    applying = Applying(world.floor, world.repos, world.trees)
    while work := await claim(world.floor.pool, "branch", ["apply"], "test"):
        await applying(work)
    await settle_all(world)
    assert pushed == [7]
    assert len(world.tags()) == 7


async def test_a_series_withdrawn_between_applying_and_publishing_is_not_published(world: World) -> None:
    series = await world.series(world.change("net/core/dev.c", 3, "changed"))
    await ask(world, series)
    work = await claim(world.floor.pool, "branch", ["apply"], "test")
    assert work is not None
    await Applying(world.floor, world.repos, world.trees)(work)
    await world.owner.execute("update ingest.series set state = 'withdrawn' where id = $1", series)
    await settle_all(world)
    assert world.tags() == {}
    assert await events(world) == []


async def test_a_ref_that_the_remote_refuses_holds_up_no_other(world: World) -> None:
    hook = world.remote / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\n! grep -q refused-\n")
    hook.chmod(0o755)
    good = await world.series(world.change("README", 2, "good"), name="good")
    bad = await world.series(world.change("README", 4, "bad"), name="refused-by-a-rule")
    for series in (bad, good):
        await ask(world, series)
    applying = Applying(world.floor, world.repos, world.trees)
    while work := await claim(world.floor.pool, "branch", ["apply"], "test"):
        await applying(work)
    await settle_all(world)
    assert [name for name in world.tags() if "good" in name]
    assert (await row(world, good))["published"] is not None
    assert (await row(world, bad))["published"] is None
    health = await world.owner.fetchrow("select ok, text from floor.health where name = 'push netdev series'")
    assert health is not None
    assert (health["ok"], "pre-receive hook declined" in health["text"]) == (False, True)
    hook.unlink()
    await world.owner.execute("update floor.work set due = now()")
    await settle_all(world)
    assert (await row(world, bad))["published"] is not None


async def test_a_series_tried_often_is_tried_again_only_after_half_a_day(world: World) -> None:
    letters = world.change("README", 2, "one")
    commit(world.next, "in the way", {"README": "other\n"})
    await world.trees.refresh("netdev", "next")
    series = await world.series(letters)
    await settled(world, series)
    await world.owner.execute("update branch.applied set tries = 6")
    moved = TreeMoved(project="netdev", tree="next", head="a" * 40, before="b" * 40)

    async def wanted() -> str:
        async with world.floor.pool.acquire() as conn, conn.transaction():
            await on_tree_moved(conn, moved)
        return str(await world.owner.fetchval("select state from floor.work where kind = 'apply'"))

    assert await wanted() == "done"
    await world.owner.execute("update branch.applied set at = now() - interval '13 hours'")
    assert await wanted() == "ready"
