"""shellcheck on the shell scripts that a patch touches."""

import json
from collections.abc import Sequence
from typing import ClassVar

from services.executor.cage.base import Ran
from services.executor.checks.base import CheckConfig, Desk, OurCheck, Said, Subject, success
from services.executor.lint.asking import Looked, Stopped, ask_linter, stopped
from services.executor.lint.compare import Remark

_ODD = (
    "SC2317",  # unreachable code: functions that a test harness calls by name look like that
    "SC2329",  # the same, as newer versions call it
)


class ShellcheckConfig(CheckConfig):
    """`exclude`: codes that are not asked about."""

    exclude: tuple[str, ...] = _ODD


class _Tool:
    tool, package, suffix, inside = "shellcheck", "shellcheck", ".sh", True
    configs: tuple[str, ...] = (".shellcheckrc", "shellcheckrc")
    neutral = b""

    def __init__(self, exclude: Sequence[str]) -> None:
        self._exclude = [option for code in exclude for option in ("-e", code)]

    def argv(self, name: str) -> tuple[str, ...]:
        return ("shellcheck", "-f", "json1", "-x", *self._exclude, "--", name)

    def read(self, ran: Ran, path: str) -> list[Remark]:
        if ran.code not in (0, 1):
            raise ValueError("it could not look")
        try:
            comments = json.loads(ran.stdout)["comments"]
            return [Remark(path, one["line"], one["level"], f"SC{one['code']}", one["message"]) for one in comments]
        except (KeyError, TypeError) as exc:
            raise ValueError(str(exc)) from None


class Shellcheck(OurCheck):
    """Scripts that were clean must stay so, and new ones must be: there every remark counts as an error."""

    name: ClassVar[str] = "shellcheck"
    help: ClassVar[str] = "no new remarks of shellcheck in shell scripts"
    uses: ClassVar[tuple[str, ...]] = (_Tool.tool,)
    Config: ClassVar[type[CheckConfig]] = ShellcheckConfig

    async def ask(self, subject: Subject, desk: Desk) -> Said:
        assert isinstance(self.config, ShellcheckConfig)
        tool = _Tool(self.config.exclude)
        try:
            looked = await ask_linter(tool, subject, desk)
        except Stopped as exc:
            return stopped(tool, exc)
        return success("No shell scripts touched, skip") if looked is None else _judge(looked)


def _judge(looked: Looked) -> Said:
    was, now = looked.count("error")
    was_warned, now_warned = looked.count("warning")
    spoiled = [one for path, some in looked.after.items() if not looked.before.get(path) for one in some]
    now += sum(one.level != "error" for one in spoiled)
    text = f"Errors before: {was} (+warn: {was_warned}) this patch: {now} (+warn: {now_warned})"
    return looked.answer(text, bad=bool(spoiled) or looked.has_new("error"), poor=looked.has_new("warning"))
