"""A case put to the engine, as the server and `netci check` put theirs, and what it answers."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from services.executor.checking.configured import configured
from services.executor.checking.place import Place
from services.executor.checking.plan import plan
from services.executor.checking.run import carry_out
from services.executor.checking.sink import Task
from services.executor.checks.base import Finding, Said
from shared.model.ids import Sha
from shared.model.results import Cause
from shared.settings import Checking
from tests.corpus.case import Case
from tests.corpus.ground import post
from tests.corpus.looked_at import looked_at


@dataclass
class Answers:
    """A sink that keeps what it is told."""

    said: dict[Task, Said] = field(default_factory=dict)
    why: dict[Task, str] = field(default_factory=dict)

    async def began(self, task: Task) -> None:
        pass

    async def described(self, task: Task, text: str) -> None:
        pass

    async def answered(self, task: Task, said: Said, seconds: float) -> None:
        assert task not in self.said, f"{task} was answered twice"
        self.said[task] = said

    async def unasked(self, task: Task, why: str) -> None:
        self.why[task] = why


async def ask(case: Case, folder: Path, repo: Path, kernel: Sha, place: Place) -> Answers:
    """Make the case in `repo`, apply it, and ask every check that it expects an answer of, with the options of the
    netdev preset and those of the case.
    """
    subject = await looked_at(case, post(repo, kernel, case, folder), place.store)
    use = tuple(dict.fromkeys(expected.check for expected in case.expect))
    options = {name: _here(table, folder) for name, table in case.options.items()}
    checks = configured(Checking(preset="netdev", use=use, check=options), "corpus")
    answers = Answers()
    await carry_out(plan(checks, subject), subject, place, answers)
    return answers


def _here(value: Any, folder: Path) -> Any:
    """Options with ``{here}`` for the folder of the case's file."""
    if isinstance(value, dict):
        return {key: _here(one, folder) for key, one in value.items()}
    return value.replace("{here}", str(folder)) if isinstance(value, str) else value


def state(said: Said) -> str:
    return "infra" if said.cause is Cause.INFRA else str(said.state)


def place_of(finding: Finding) -> str:
    """A finding as cases write it."""
    where = f"{finding.path}:{finding.line}" if finding.line else finding.path
    return f"{where}: {finding.text}" if where else finding.text
