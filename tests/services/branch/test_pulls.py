"""Pull requests: fetched from where the project allows, applied and cut as a whole."""

from pathlib import Path

from services.branch.apply import Applying
from services.branch.publish import Publishing
from shared.db.work import Desk, Do, claim, enqueue
from shared.model.ids import SeriesId
from tests.services.branch.conftest import WorldFor
from tests.services.branch.test_apply import row
from tests.services.branch.test_cutter import a_cutter, cuts, decisions, request, subjects
from tests.services.branch.world import World
from tests.shared.git.build import commit, git, head
from tests.shared.git.test_pulls import NEARBY, a_server, daemon

ALLOWED = """
        [projects.netdev.patchwork]
        url = "https://patchwork.example"
        project = "netdevbpf"
        pull_from = ["pull.example:{port}/pub/"]
"""


def a_pull(world: World, files: dict[str, str | None]) -> str:
    """A maintainer's repository below root/pub, two commits ahead of next; returns its head."""
    theirs = world.folder / "root/pub/tree"
    theirs.parent.mkdir(parents=True)
    git(world.folder, "clone", "-q", str(world.next), str(theirs))
    commit(theirs, "pulled 1", {"drivers/new.c": "one\n"})
    commit(theirs, "pulled 2", files)
    git(theirs, "tag", "-a", "-m", "please pull", "for-next")
    return head(theirs)


async def settle(world: World, url: str) -> SeriesId:
    series = await world.series([], name="pull", pull_url=f"{url} tags/for-next", total=0, received=0)
    kinds: dict[str, Do] = {
        "apply": Applying(world.floor, world.repos, world.trees, NEARBY),
        "publish": Publishing(world.floor, world.repos),
    }
    async with world.floor.pool.acquire() as conn:
        await enqueue(conn, "branch", "apply", str(series))
    desk = Desk(world.floor.pool, world.floor.bells, "branch", "test", kinds)
    while work := await claim(world.floor.pool, "branch", list(kinds), "test"):
        await desk.do(work)
    return series


async def fetched(world_for: WorldFor, port: int, **how: str) -> World:
    world = await world_for(more=ALLOWED.format(port=port), **how)
    for tree in ("net", "next"):
        await world.trees.refresh("netdev", tree)
    return world


async def test_a_pull_request_is_fetched_published_and_merged_into_the_branch(
    world_for: WorldFor, tmp_path: Path
) -> None:
    with a_server(daemon(tmp_path / "root")) as port:
        world = await fetched(world_for, port)
        tip = a_pull(world, {"README": "pulled\n"})
        series = await settle(world, f"git://pull.example:{port}/pub/tree")
    found = await row(world, series)
    assert (found["outcome"], found["head"], found["base"]) == ("applied", tip, head(world.next))
    assert len(found["commits"]) == 2
    assert found["commits"][-1] == tip
    assert list(world.tags().values()) == [tip]
    await request(world)
    await a_cutter(world).round()
    (cut,) = await cuts(world)
    assert (await decisions(world, cut["id"]))[series][0] == "take"
    assert subjects(world, cut["name"])[0].startswith("Merge git://pull.example")


async def test_a_pull_request_from_elsewhere_is_refused_with_the_reason_and_not_fetched(world_for: WorldFor) -> None:
    world = await fetched(world_for, 1)
    for url in ("--upload-pack=touch /tmp/x", "file:///etc", "ssh://pull.example/pub/tree", "https://other.example/x"):
        found = await row(world, await settle(world, url))
        assert found["outcome"] == "refused"
        assert found["reason"]


async def test_a_pull_request_in_conflict_names_the_files(world_for: WorldFor, tmp_path: Path) -> None:
    with a_server(daemon(tmp_path / "root")) as port:
        world = await fetched(world_for, port)
        a_pull(world, {"README": "pulled\n"})
        commit(world.next, "in the way", {"README": "mine\n"})
        await world.trees.refresh("netdev", "next")
        found = await row(world, await settle(world, f"git://pull.example:{port}/pub/tree"))
    assert (found["outcome"], found["files"]) == ("refused", ["README"])
    assert "does not merge into next: conflict in README" in found["reason"]


async def test_paths_that_no_mail_may_touch_are_refused_in_any_commit(world_for: WorldFor, tmp_path: Path) -> None:
    with a_server(daemon(tmp_path / "root")) as port:
        world = await fetched(world_for, port)
        # The tip has it no more; a series of three commits is seen commit by commit.
        a_pull(world, {"a\\b": "x\n", "README": "pulled\n"})
        theirs = world.folder / "root/pub/tree"
        git(theirs, "rm", "-q", "a\\b")
        git(theirs, "commit", "-q", "-m", "hidden")
        git(theirs, "tag", "-f", "-a", "-m", "please pull", "for-next")
        found = await row(world, await settle(world, f"git://pull.example:{port}/pub/tree"))
    assert (found["outcome"], found["head"]) == ("refused", "")
    assert found["reason"] == "the pull request is not taken: path with a backslash: a\\b"
