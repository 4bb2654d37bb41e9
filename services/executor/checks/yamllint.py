"""yamllint on the YAML files that a patch touches."""

import re
from typing import ClassVar

from services.executor.cage.base import Ran
from services.executor.checks.base import Desk, OurCheck, Said, Subject
from services.executor.lint.asking import errors_and_warnings
from services.executor.lint.compare import Remark

_LINE = re.compile(r"^.*?:([0-9]+):[0-9]+: \[(error|warning)\] (.*?)(?: \(([\w-]+)\))?$")


class _Tool:
    tool, package, suffix, inside = "yamllint", "yamllint", ".yaml", True
    configs: tuple[str, ...] = (".yamllint", ".yamllint.yaml", ".yamllint.yml")
    neutral = b"extends: default\n"

    def argv(self, name: str) -> tuple[str, ...]:
        return ("yamllint", "-f", "parsable", "--", name)

    def read(self, ran: Ran, path: str) -> list[Remark]:
        if ran.code not in (0, 1):
            raise ValueError("it could not look")
        found = [_LINE.match(line) for line in ran.stdout.decode("utf-8", "replace").splitlines()]
        return [Remark(path, int(one[1]), one[2], one[4] or "", one[3]) for one in found if one]


class Yamllint(OurCheck):
    name: ClassVar[str] = "yamllint"
    help: ClassVar[str] = "no new remarks of yamllint in YAML files"
    uses: ClassVar[tuple[str, ...]] = (_Tool.tool,)

    async def ask(self, subject: Subject, desk: Desk) -> Said:
        return await errors_and_warnings(_Tool(), subject, desk, "No YAML files touched, skip")
