"""Hostile input through the whole product: each thing is refused or contained, with its reason on the page.

One netci for all of it, as one netci meets all of it: what one series does must not touch another's way.
"""

import asyncio
import json
import os
import re
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from shared.practice.config import Tables
from shared.practice.demo.stage import Stage, staged
from shared.practice.tree import git
from shared.practice.world_series import Role, World
from tests.e2e import noise
from tests.e2e.endless import BYTES, COMMITS, NETWORK, SECONDS, WAYS, Endless, endless, repositories
from tests.e2e.hostile import CANARY, SERIES
from tests.e2e.letters import Hostile, changes, pull
from tests.e2e.programs import free_listen, until
from tests.e2e.pulls import Trap, addresses, allowed, trap

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

RAW = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
"""Bytes that no page of text has."""

PULLS = 240.0
"""Seconds for pull requests: they are fetched one after the other, and those that never end go to their limit."""

MOST_PAGE = 12 << 20
"""Bytes of a page; whatever a test says, nobody's browser is sent more."""


@dataclass(frozen=True, slots=True)
class Scene:
    stage: Stage
    trap: Trap
    endless: Endless

    async def get(self, path: str) -> tuple[int, bytes]:
        answer = await self.stage.http.request("GET", path)
        return answer.status, answer.body

    async def data(self, path: str) -> dict[str, Any]:
        status, body = await self.get(path)
        assert status == 200, (path, body[:500])
        found: dict[str, Any] = json.loads(body)
        return found

    async def settled(self, message_id: str, patience: float = 60) -> dict[str, Any]:
        """The series as soon as it is clear what becomes of it."""
        end = time.monotonic() + patience
        while time.monotonic() < end:
            status, body = await self.get(f"/api/v1/series/{message_id}")
            found = json.loads(body) if status == 200 else {}
            if found and (found["applied"] or found["series"]["state"] != "active"):
                return dict(found)
            await asyncio.sleep(0.2)
        raise AssertionError(f"{message_id} is not settled after {patience:g} s: {body[:500]!r}")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    """Everything hostile is posted at once, the good series in between."""
    folder = tmp_path_factory.mktemp("strangers")

    def prepare(world: World) -> None:
        _with_a_link(world)
        repositories(world.tree.path, folder)

    async with AsyncExitStack() as stack:
        one = await stack.enter_async_context(trap())
        never = await stack.enter_async_context(endless(folder))
        stage = await stack.enter_async_context(
            staged(7, free_listen(), adapt=_adapted([*allowed(one.port), *never.allowed()]), prepare=prepare)
        )
        for name, (address, _) in never.addresses().items():
            _post_pull(stage, name, address)
        for nth, series in enumerate(SERIES):
            for mail in series.mails(nth):
                stage.patchwork.submit(mail)
        _post(stage, Role.GOOD)
        for mail in _thief(stage.world).mails(800):
            stage.patchwork.submit(mail)
        for name, (address, _) in addresses(one.port).items():
            _post_pull(stage, name, address)
        _post(stage, Role.FLAKY)
        yield Scene(stage, one, never)


def _adapted(pull_from: list[str]) -> Callable[[Tables], None]:
    """One loopback network may be reached, so that the others are seen to be refused one by one."""
    limits = {"pull_timeout": f"{SECONDS}s", "pull_bytes": BYTES, "pull_commits": COMMITS}

    def adapt(tables: Tables) -> None:
        tables["outgoing"] = {"allow_private": [NETWORK]}
        tables["projects"]["netdev"]["patchwork"] |= {"pull_from": pull_from, **limits}
        tables["executors"][0]["suite"]["longest"] = "6s"

    return adapt


def _with_a_link(world: World) -> None:
    """A link that leads out of the tree, committed by the maintainers themselves."""
    old = git(world.tree.path, "rev-parse", "main").decode().strip()
    stream = (
        f"commit refs/heads/main\ncommitter N <n@netdev.example> 1767225600 +0000\ndata 4\nlink\nfrom {old}\n"
        "M 120000 inline tools/outside\ndata 8\n/var/tmp\n"
    )
    git(world.tree.path, "fast-import", "--quiet", stdin=stream.encode())


def _thief(world: World) -> Hostile:
    """Somebody's second version of what somebody else has sent."""
    good = world.by_role(Role.GOOD)
    answers = (f"In-Reply-To: <{good.message_ids[0]}>", f"References: <{good.message_ids[0]}>")
    return Hostile("thief", (changes("\treturn 21;"),), "", subject=good.title, version=" v2", headers=answers)


def _post(stage: Stage, role: Role) -> None:
    for mail in stage.world.by_role(role).mails:
        stage.patchwork.submit(mail)


def _post_pull(stage: Stage, name: str, address: str) -> None:
    """No poll can come in between: the practice Patchwork lives in this very loop."""
    stage.patchwork.submit(pull(f"pull-{name}"))
    stage.patchwork.pw.patch_of(f"<pull-{name}@eve.example>", "netdevbpf").pull_url = address


def _states(stage: Stage, message_id: str) -> dict[str, str]:
    """The newest check of each context on a patch at Patchwork."""
    patch = stage.patchwork.pw.patch_of(f"<{message_id}>", "netdevbpf").id
    return {check.context: str(check.state) for check in stage.patchwork.pw.checks_of(patch)}


# Series


@pytest.mark.parametrize("series", SERIES, ids=lambda one: one.name)
async def test_a_series(scene: Scene, series: Hostile) -> None:
    found = await scene.settled(series.message_ids[0])
    status, page = await scene.get(f"/series/{found['series']['id']}")
    assert status == 200
    assert not RAW.search(page)
    assert b"<script>alert" not in page
    if series.says:
        assert re.search(series.says, found["sentence"]), found["sentence"]
        assert not any(row["outcome"] == "applied" for row in found["applied"])
    else:
        assert [row["outcome"] for row in found["applied"]] == ["applied"], found["sentence"]


@pytest.mark.parametrize("name", addresses(1))
async def test_a_pull_request(scene: Scene, name: str) -> None:
    await _says(scene, name, addresses(scene.trap.port)[name][1])


async def _says(scene: Scene, name: str, words: str) -> None:
    """The pull request is refused with these words, and its page can be read."""
    found = await scene.settled(f"pull-{name}@eve.example", PULLS)
    assert found["applied"][0]["outcome"] == "refused"
    assert re.search(words, found["sentence"]), found["sentence"]
    status, page = await scene.get(f"/series/{found['series']['id']}")
    assert status == 200
    assert not RAW.search(page)


@pytest.mark.parametrize("name", [name for name, (_, words) in Endless().addresses().items() if words])
async def test_a_pull_request_that_never_ends(scene: Scene, name: str) -> None:
    """Within its limit of time, bytes or commits it is over, and says which of them it was."""
    await _says(scene, name, Endless().addresses()[name][1])


async def test_a_pull_request_within_the_limits_is_taken_from_there(scene: Scene) -> None:
    """So what was refused was refused for what it did, not for where it is."""
    found = await scene.settled("pull-in-bounds@eve.example", PULLS)
    assert found["applied"][0]["outcome"] == "applied", found["sentence"]
    assert len(found["applied"][0]["commits"]) == COMMITS - 5


async def test_others_are_not_kept_waiting_by_what_never_ends(scene: Scene) -> None:
    """The flaky series is the last that was posted, and is applied while servers are still being waited for."""
    good = await scene.settled(scene.stage.world.by_role(Role.FLAKY).message_ids[0])
    slow = [await scene.settled(f"pull-{name}@eve.example", PULLS) for name in Endless().addresses()]
    ended = [datetime.fromisoformat(one["applied"][0]["at"]) for one in slow]
    assert datetime.fromisoformat(good["applied"][0]["at"]) < max(ended)
    assert scene.endless.visits >= len(WAYS)


async def test_nobody_followed_a_private_address(scene: Scene) -> None:
    for name in addresses(1):
        await scene.settled(f"pull-{name}@eve.example", PULLS)
    assert scene.trap.visits == 0


async def test_a_claimed_patch_id_gets_nobody_elses_check(scene: Scene) -> None:
    """The mail says that it is patch 1, which is somebody else's and is refused."""
    found = await scene.settled("claims-a-patch-1@eve.example")
    first = scene.stage.patchwork.pw.patches[1].msgid.strip("<>")
    await until(lambda: _states(scene.stage, "claims-a-patch-1@eve.example").get("apply") == "success", "it is posted")
    await until(lambda: _states(scene.stage, first).get("apply") == "fail", "the other's is posted")
    assert found["patches"][0]["message_id"].strip("<>") == "claims-a-patch-1@eve.example"


async def test_a_stranger_supersedes_nobody(scene: Scene) -> None:
    """A v2 of the same title in the same thread, by somebody else, is a series of its own."""
    theirs = scene.stage.world.by_role(Role.GOOD).message_ids[0]
    stolen = await scene.settled("thief-1@eve.example")
    found = await scene.settled(theirs)
    assert found["series"]["state"] == "active"
    assert stolen["series"]["id"] != found["series"]["id"]
    assert len(found["versions"]) == 1


# Branches and tests


async def test_good_series_get_their_verdicts(scene: Scene) -> None:
    stage = scene.stage
    good = [m for role in (Role.GOOD, Role.FLAKY) for m in _patches(stage, role)]
    for message_id in good:
        await scene.settled(message_id)
    await stage.command("cut", "net-next", "--why", "with all that the strangers left")
    await until(
        lambda: all(_states(stage, m).get("contest") == "success" for m in good),
        f"the good ones are success: {[_states(stage, m) for m in good]}", 120,
    )  # fmt: skip


def _patches(stage: Stage, role: Role) -> tuple[str, ...]:
    series = stage.world.by_role(role)
    return series.message_ids[1:] if series.cover else series.message_ids


async def test_any_output_of_tests_is_contained(scene: Scene) -> None:
    """Bytes, endless and huge output: the run ends, counts, and every page of it can be read."""
    stage = scene.stage
    blobs = noise.blobs(24)
    loud = noise.series(stage.folder / "world" / "author.git", blobs)
    for mail in loud.mails(700):
        stage.patchwork.submit(mail)
    await scene.settled(loud.message_ids[0])
    await stage.command("cut", "net-next", "--why", "with tests that shout")
    await until(lambda: "contest" in _states(stage, loud.message_ids[0]), "the loud branch is reported", 240)
    run = await _newest_run(scene)
    tests = {test["test"]: test for test in run["tests"]}
    assert {noise.shown(name) for name in noise.programs(len(blobs))} <= tests.keys()
    assert tests["noise-endless-sh"]["final"]["cause"] == "timeout"
    assert tests["noise-silent-sh"]["final"]["cause"] == "timeout"
    assert tests["noise-fine-sh"]["final"]["result"] == "pass"
    await _pages_are_text(scene, run)


async def _newest_run(scene: Scene) -> dict[str, Any]:
    branches = (await scene.data("/api/v1/branches"))["branches"]
    newest = max(branches, key=lambda branch: int(branch["id"]))["name"]
    runs = (await scene.data(f"/api/v1/branches/{newest}"))["runs"]
    return await scene.data(f"/api/v1/runs/{runs[0]['id']}")


async def _pages_are_text(scene: Scene, run: dict[str, Any]) -> None:
    number = run["run"]["id"]
    logs = [f"/run/{number}/log/selftests-net/{noise.shown(name)}/0/stdout" for name in noise.programs(24)]
    for path in (f"/run/{number}", "/contest", "/", *logs):
        answer = await scene.stage.http.request("GET", path)
        assert answer.status == 200, (path, answer.body[:500])
        assert answer.headers["content-type"].startswith("text/html"), path
        assert not RAW.search(answer.body), path
        assert b"<script>alert" not in answer.body, path
        assert len(answer.body) < MOST_PAGE, path
        answer.body.decode()
    assert (await scene.data(f"/api/v1/runs/{number}/cases"))["cases"]


# Afterwards


async def test_no_room_broke(scene: Scene) -> None:
    status, _ = await scene.get("/readyz")
    assert status == 200
    assert scene.stage.netci.poll() is None
    assert _bad_lines(scene.stage) == []


def _bad_lines(stage: Stage) -> list[str]:
    """What the log says when a room, a handler, a request or a piece of work broke."""
    words = ('"level": "error"', "Traceback", "room: broke", "dead letter", '"outcome": "dead"')
    lines = (stage.folder / "netci.log").read_text(errors="replace").splitlines()
    return [line[:2000] for line in lines if any(word in line for word in words)]


async def test_nothing_got_out(scene: Scene) -> None:
    """No file of the canary's name, no reference and no hook that is not ours, and the pages still answer."""
    stage = scene.stage
    assert list(_canaries(stage.folder)) == []
    assert not (stage.folder / "testing.git" / "hooks" / "post-checkout").exists()
    refs = git(stage.folder / "testing.git", "for-each-ref", "--format=%(refname)").decode().split()
    assert all(ref.startswith(("refs/heads/net-next-", "refs/tags/netci/")) for ref in refs), refs
    assert {path.name for path in stage.folder.iterdir()} == {
        "world", "hosts", "guest", "data", "testing.git", "netci.toml", "lab.toml", "webhooks.key", "netci.log",
    }  # fmt: skip


def _canaries(folder: Path) -> Iterator[str]:
    for top in (str(folder), "/tmp", os.getcwd(), os.path.expanduser("~/.config")):
        for where, folders, files in os.walk(top):
            yield from (f"{where}/{name}" for name in (*folders, *files) if CANARY in name)
    yield from (str(path) for top in ("/", "/var/tmp", "/etc") for path in Path(top).glob(f"*{CANARY}*"))
