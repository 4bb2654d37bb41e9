"""pylint on the Python files that a patch touches."""

import json
from typing import ClassVar

from services.executor.cage.base import Ran
from services.executor.checks.base import Desk, OurCheck, Said, Subject
from services.executor.lint.asking import errors_and_warnings
from services.executor.lint.compare import Remark

_ERRORS, _WARNINGS = ("error", "fatal"), ("warning", "convention")
_USAGE = 32


class _Tool:
    tool, package, suffix, inside = "pylint", "pylint", ".py", False
    configs: tuple[str, ...] = (".pylintrc", "pylintrc", "pyproject.toml", "setup.cfg", "tox.ini")
    neutral = b""

    def argv(self, name: str) -> tuple[str, ...]:
        return ("pylint", "--output-format=json", "--score=n", "--persistent=n", "--", name)

    def read(self, ran: Ran, path: str) -> list[Remark]:
        """Its exit code is a sum of bits, one for each sort of remark; one says that it was called wrongly."""
        if ran.code >= _USAGE:
            raise ValueError("it could not look")
        try:
            return [
                Remark(path, one["line"], _level(one["type"]), one["message-id"], one["message"])
                for one in json.loads(ran.stdout or b"[]")
            ]
        except (KeyError, TypeError) as exc:
            raise ValueError(str(exc)) from None


def _level(kind: str) -> str:
    """Refactoring is advice: it is shown and not counted."""
    return "error" if kind in _ERRORS else "warning" if kind in _WARNINGS else "info"


class Pylint(OurCheck):
    name: ClassVar[str] = "pylint"
    help: ClassVar[str] = "no new remarks of pylint in Python files"
    uses: ClassVar[tuple[str, ...]] = (_Tool.tool,)

    async def ask(self, subject: Subject, desk: Desk) -> Said:
        return await errors_and_warnings(_Tool(), subject, desk, "No python scripts touched, skip")
