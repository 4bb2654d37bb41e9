"""Old branches and refs go from the remote; nothing that is not ours does."""

from datetime import timedelta

from services.branch.retain import Retention
from tests.services.branch.conftest import WorldFor
from tests.services.branch.test_cutter import a_cutter, applied, cuts, request
from tests.services.branch.world import World
from tests.shared.git.build import git, head


async def pushed_long_ago(world: World, *numbers: int) -> None:
    """Six days ago by the world's own clock; the database stamped what it did by the machine's."""
    when = world.clock.now - timedelta(days=6)
    await world.owner.execute("update branch.cuts set pushed = $2 where id = any($1::bigint[])", list(numbers), when)


async def test_old_branches_go_and_what_we_did_not_make_stays(world: World) -> None:
    cutter = a_cutter(world)
    for _ in range(3):
        await request(world)
        await cutter.round()
        world.clock.forward(minutes=1)
    old, moved, young = await cuts(world)
    git(world.next, "push", "-q", str(world.remote), f"{head(world.next)}:refs/heads/next-2020-01-01--00-00")
    git(world.next, "push", "-q", "-f", str(world.remote), f"{head(world.next)}:refs/heads/{moved['name']}")
    await pushed_long_ago(world, old["id"], moved["id"])
    await Retention(world.floor, world.repos).prune()
    assert sorted(world.branches()) == ["next-2020-01-01--00-00", moved["name"], young["name"]]
    assert [(c["state"], bool(c["error"])) for c in await cuts(world)] == [
        ("pruned", False), ("pruned", True), ("announced", False)
    ]  # fmt: skip
    assert f"refs/netci/cuts/{old['id']}" not in await (await world.store()).refs()


async def test_old_series_refs_go(world: World) -> None:
    await applied(world, world.change("README", 2, "old"), name="old")
    await applied(world, world.change("README", 4, "young"), name="young")
    await world.owner.execute(
        "update branch.applied set published = now() - interval '61 days' where message_id = 'old@example.org'"
    )
    world.clock.now = await world.owner.fetchval("select now()")
    await Retention(world.floor, world.repos).prune()
    assert [name for name in world.tags() if "old" in name] == []
    assert len(world.tags()) == 1
    assert await world.owner.fetchval("select count(*) from branch.applied_v where pruned is not null") == 1


async def test_a_remote_that_is_away_is_said_and_asked_again(world: World) -> None:
    await request(world)
    await a_cutter(world).round()
    await pushed_long_ago(world, *[cut["id"] for cut in await cuts(world)])
    world.remote.rename(world.folder / "away.git")
    await Retention(world.floor, world.repos).prune()
    assert await world.owner.fetchval("select ok from floor.health where name = 'retention netdev'") is False
    (world.folder / "away.git").rename(world.remote)
    await Retention(world.floor, world.repos).prune()
    assert world.branches() == {}


async def test_a_remote_that_is_away_holds_up_no_other(world_for: WorldFor) -> None:
    lost = '[projects.netdev.streams.a]\ntree = "next"\ncontext = "a"\npush = "/nowhere.git"'
    world = await world_for(more=lost)
    for tree in ("net", "next"):
        await world.trees.refresh("netdev", tree)
    await request(world)
    await a_cutter(world).round()
    await pushed_long_ago(world, *[cut["id"] for cut in await cuts(world)])
    await world.owner.execute(
        "insert into branch.cuts (project, stream, slot, purpose, name, state, tree, base, commit, pushed) "
        "select project, 'a', slot, purpose, 'a-2026-01-01--00-00', state, tree, base, commit, pushed from branch.cuts"
    )
    await Retention(world.floor, world.repos).prune()
    assert world.branches() == {}
    assert await world.owner.fetchval("select ok from floor.health where name = 'retention netdev'") is False
