"""A small tree in a store, a series on it, and the engine that asks about it in the machine's own cage."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from services.executor.cage.at_hand import isolation_for
from services.executor.checking.place import Machine, Place
from services.executor.checking.plan import plan
from services.executor.checking.run import carry_out
from services.executor.checking.sink import Task
from services.executor.checks.base import Check, Said, Subject
from shared.model.ids import Sha
from shared.settings import Checks
from tests.corpus.case import Case
from tests.corpus.ground import post
from tests.corpus.looked_at import looked_at
from tests.services.executor.checking.builders import Contents, Repository

VENV = Path(__file__).parents[4] / ".venv" / "bin"


@dataclass
class World:
    """`tree` is the base commit of every series."""

    repository: Repository
    place: Place
    tree: Sha
    described: list[str] = field(default_factory=list)

    async def subject(self, *patches: Mapping[str, Any], **more: Any) -> Subject:
        """A series of patches as the corpus writes them."""
        case = Case.model_validate({"shows": "", "patch": patches, "expect": [], **more})
        return await looked_at(case, post(self.repository.path, self.tree, case, Path("/")), self.place.store)

    async def ask(self, check: Check, subject: Subject) -> list[Said]:
        """Its answers, patch by patch."""
        sink = _Sink(self.described)
        await carry_out(plan([check], subject), subject, self.place, sink)
        assert not sink.why
        return [sink.said[task] for task in sorted(sink.said, key=lambda one: one.patch)]

    async def one(self, check: Check, *patches: Mapping[str, Any], **more: Any) -> Said:
        """Its answer about the last patch, or the series."""
        return (await self.ask(check, await self.subject(*patches, **more)))[-1]


@dataclass
class _Sink:
    described_as: list[str]
    said: dict[Task, Said] = field(default_factory=dict)
    why: dict[Task, str] = field(default_factory=dict)

    async def began(self, task: Task) -> None:
        pass

    async def described(self, task: Task, text: str) -> None:
        self.described_as.append(text)

    async def answered(self, task: Task, said: Said, seconds: float) -> None:
        self.said[task] = said

    async def unasked(self, task: Task, why: str) -> None:
        self.why[task] = why


@asynccontextmanager
async def world(folder: Path, contents: Contents, path: Sequence[Path] = (VENV,)) -> AsyncIterator[World]:
    repository = Repository(folder / "store")
    tree = await repository.commit(contents)
    settings = Checks(path=tuple(path))
    isolation = isolation_for(settings, folder / "cages")
    place = Machine.of(isolation, settings).place(repository.store, folder / "place")
    yield World(repository, place, tree)


def edit(path: str, content: str, **more: Any) -> dict[str, Any]:
    """A patch that writes one file."""
    return {"subject": f"{path}: change it", "edits": [{"path": path, "content": content, **more}]}
