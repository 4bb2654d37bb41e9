"""ruff on the Python files that a patch touches."""

import json
from typing import ClassVar

from services.executor.cage.base import Ran
from services.executor.checks.base import Desk, OurCheck, Said, Subject, success
from services.executor.lint.asking import Stopped, ask_linter, stopped
from services.executor.lint.compare import Remark


class _Tool:
    tool, suffix, inside = "ruff", ".py", False
    package = "ruff"
    configs: tuple[str, ...] = ("ruff.toml", ".ruff.toml", "pyproject.toml")
    neutral = b""

    def argv(self, name: str) -> tuple[str, ...]:
        return ("ruff", "check", "--no-cache", "--output-format", "json", "--", name)

    def read(self, ran: Ran, path: str) -> list[Remark]:
        if ran.code not in (0, 1):
            raise ValueError("it could not look")
        try:
            return [
                Remark(path, (one["location"] or {}).get("row"), "error", one["code"] or "syntax", one["message"])
                for one in json.loads(ran.stdout)
            ]
        except (KeyError, TypeError, AttributeError) as exc:
            raise ValueError(str(exc)) from None


class Ruff(OurCheck):
    name: ClassVar[str] = "ruff"
    help: ClassVar[str] = "no new remarks of ruff in Python files"
    uses: ClassVar[tuple[str, ...]] = (_Tool.tool,)

    async def ask(self, subject: Subject, desk: Desk) -> Said:
        tool = _Tool()
        try:
            looked = await ask_linter(tool, subject, desk)
        except Stopped as exc:
            return stopped(tool, exc)
        if looked is None:
            return success("No python scripts touched, skip")
        was, now = looked.count("error")
        return looked.answer(f"Errors before: {was} ; this patch: {now}", bad=looked.has_new("error"), poor=False)
