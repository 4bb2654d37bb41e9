"""The bare stores, one for each project, and the remotes to which branches and series go."""

import asyncio
import re
from dataclasses import dataclass

from shared.errors import Refused
from shared.git.process import SshKey
from shared.git.store import Store
from shared.model.mails import Person
from shared.settings import Project, Settings, Stream


@dataclass(frozen=True, slots=True)
class Target:
    """A repository of ours: where we push, with which key, and where others fetch."""

    push: str
    public: str
    key: SshKey | None


def store_at(settings: Settings, project: str) -> Store:
    """The project's store. Remembered conflict resolutions lie beside the stores, which may be deleted."""
    return Store(settings.data / "git" / f"{project}.git", rr_cache=settings.data / "rr-cache" / project)


class Repos:
    """Opens each project's store once in this process."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._open: dict[str, Store] = {}
        self._lock = asyncio.Lock()

    async def store(self, project: str) -> Store:
        """The project's store, ready for use; made anew if somebody deleted it meanwhile."""
        async with self._lock:
            known = self._open.get(project)
            if known and not (known.path / "HEAD").exists():
                known.close()
                del self._open[project]
            if project not in self._open:
                made = store_at(self.settings, project)
                made.rr_cache.mkdir(parents=True, exist_ok=True)
                await made.ensure()
                self._open[project] = made
        return self._open[project]

    def close(self) -> None:
        for store in self._open.values():
            store.close()
        self._open.clear()


def stream_target(stream: Stream) -> Target:
    return Target(stream.push, stream.public or _without_login(stream.push), _key(stream))


def _without_login(url: str) -> str:
    """An address of ours as everybody may read it."""
    return re.sub(r"^(https?://)[^/]*@", r"\1", url)


def series_target(project: Project, tree: str = "") -> Target | None:
    """Where refs of applied series go: as configured, else where the first stream that takes `tree` goes.

    None when the project pushes nowhere: then the commits are only in our own store.
    """
    streams = [s for s in project.streams.values() if not tree or tree in project.takes(s)]
    streams = streams or list(project.streams.values())
    first = stream_target(streams[0]) if streams else None
    if project.series_push:
        same = next((s for s in project.streams.values() if s.push == project.series_push), None)
        key = _key(same) if same else (first.key if first else None)
        return Target(project.series_push, project.series_public or _without_login(project.series_push), key)
    return first


def series_targets(project: Project) -> list[Target]:
    """Every place to which refs of this project's series go, each once."""
    found = (series_target(project, tree) for tree in project.trees)
    return list({target.push: target for target in found if target}.values())


def committer(project: Project) -> Person:
    return Person(project.committer_name, project.committer_email)


def _key(stream: Stream) -> SshKey | None:
    """The push key. Refused if others could read it."""
    path = stream.push_key_file
    if path is None:
        return None
    try:
        if path.stat().st_mode & 0o077:
            raise Refused(f"{path} can be read by others; chmod 600 it")
    except OSError as exc:
        raise Refused(f"{path}: {exc.strerror}") from None
    return SshKey(path, stream.push_known_hosts)
