"""What the room needs from the machine and from its remotes, looked at."""

import re
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from services.branch.repos import Target, series_targets, stream_target
from shared.doctor import Finding
from shared.errors import NetciError
from shared.git.process import TRUSTED, run
from shared.git.refs import ls_remote
from shared.git.store import Store
from shared.model.ids import Sha
from shared.settings import Settings, Tree

_OLDEST = (2, 38)
_PATIENCE = 30


async def examine(settings: Settings) -> list[Finding]:
    """git, every tree, and every place we push to. Nothing is changed anywhere."""
    found = [await _git()]
    if not found[0].ok:
        return found
    with tempfile.TemporaryDirectory(prefix="netci-doctor-") as folder:
        store = Store(Path(folder) / "store.git")
        await store.ensure()
        try:
            async for finding in _remotes(settings, store):
                found.append(finding)
        finally:
            store.close()
    return found


async def _git() -> Finding:
    mend = "install git 2.38 or newer (Debian 12 has 2.39): apt install git"
    try:
        said = (await run(None, "version")).text
    except NetciError as exc:
        return Finding(False, "git", str(exc), mend)
    match = re.search(r"(\d+)\.(\d+)", said)
    ok = match is not None and (int(match[1]), int(match[2])) >= _OLDEST
    return Finding(ok, "git", said, "" if ok else mend)


async def _remotes(settings: Settings, store: Store) -> AsyncIterator[Finding]:
    for project, config in settings.projects.items():
        for name, tree in config.trees.items():
            yield await _tree(store, f"tree {project}/{name}", tree)
        targets: list[Target] = []
        try:
            targets = [stream_target(stream) for stream in config.streams.values()] + series_targets(config)
        except NetciError as exc:
            yield Finding(False, f"push key of {project}", str(exc), "make it readable by netci alone")
        for target in {one.push: one for one in targets}.values():
            yield await _writable(store, f"push {target.push}", target)


async def _tree(store: Store, what: str, tree: Tree) -> Finding:
    ref = f"refs/heads/{tree.branch}"
    try:
        there = await ls_remote(store, tree.git, ref, timeout=_PATIENCE)
    except NetciError as exc:
        return Finding(False, what, str(exc), f"check trees.*.git and that this machine reaches {tree.git}")
    if ref not in there:
        return Finding(False, what, f"{tree.git} has no branch {tree.branch}", "check trees.*.branch")
    return Finding(True, what, f"{tree.branch} at {there[ref][:12]}")


async def _writable(store: Store, what: str, target: Target) -> Finding:
    """Whether a push would be let in, asked by a push that changes nothing."""
    mend = "check streams.*.push and push_key_file; the key needs write access"
    env = target.key.environment() if target.key else {}
    commit = await _a_commit(store)
    refspec = f"{commit}:refs/heads/netci-doctor"
    try:
        await run(store.path, "push", "--dry-run", "--quiet", "--", target.push, refspec,
                  env=env, protocols=TRUSTED, timeout=_PATIENCE)  # fmt: skip
    except NetciError as exc:
        return Finding(False, what, str(exc), mend)
    return Finding(True, what, "can be pushed to")


async def _a_commit(store: Store) -> Sha:
    """Something to push in thought."""
    env = {f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER")
           for what, value in (("NAME", "netci"), ("EMAIL", "netci@localhost"))}  # fmt: skip
    tree = (await store.git("hash-object", "-t", "tree", "-w", "--stdin")).text
    return Sha((await store.git("commit-tree", tree, "-m", "doctor", env=env)).text)
