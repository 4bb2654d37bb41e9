"""What ``make`` says of device trees and their bindings, before and after a patch."""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass

from services.executor.cage.base import Ran
from services.executor.checks.base import Desk, Finding, Subject
from services.executor.lint.compare import Difference, Remark, difference
from services.executor.lint.missing import missing
from shared.errors import InfraError
from shared.model.ids import Sha

_PLACE = re.compile(r"^(?:\.\./)*+(?:/src/|/tmp/out/)?([\w./,+@-]+\.(?:ya?ml|dtsi?|dtbo?|dtso))(?::([0-9]+))?\b")
_LONGEST = 2000
"""What is read of a line, characters."""
# What make says of itself, and what it says because there is no compiler for the machine.
_NOISE = re.compile(r"^\s*$|^make(?:\[[0-9]+\])?: |^(?:warning|\*\*\*|#)?\s*(?:override|configuration written)\b")
# The commit first, then the command: nothing else of it comes from outside.
AT = 'git checkout -q "$1" || exit 99; shift; exec "$@"'
_NO_CHECKOUT = 99
TOOLS = ("dt-validate", "dt-doc-validate", "dt-mk-schema", "dt-extract-example")


class Stopped(Exception):
    """A limit ended make."""

    def __init__(self, ran: Ran) -> None:
        super().__init__(ran.said)
        self.ran = ran


@dataclass(frozen=True, slots=True)
class Issues:
    """Before and after. `text` is what stands on Patchwork."""

    before: int
    after: int
    differs: Difference
    log: str

    @property
    def text(self) -> str:
        return (
            f"Issues before: {self.before}, after: {self.after} "
            f"(Fixed: {len(self.differs.gone)}, New: {len(self.differs.new)})"
        )

    @property
    def findings(self) -> tuple[Finding, ...]:
        new = [Finding(one.text, one.path, one.line) for one in self.differs.new]
        return (*new, *(Finding(one.text, one.path, one.line, new=False) for one in self.differs.kept))


async def issues(
    subject: Subject, desk: Desk, script: str, *args: str, files: Mapping[str, bytes] | None = None
) -> Issues:
    """What the shell `script` (a constant of ours) says with `args` at the parent of the patch, and at the patch.

    Raises InfraError if there is no schema checker, Stopped if a limit ends it.
    """
    assert subject.patch is not None
    if absent := [tool for tool in TOOLS if not desk.has(tool)]:
        raise InfraError(missing(absent, "dt-schema, or dtschema by pip"))
    before = await _said(desk, subject.patch.parent, script, args, files)
    after = await _said(desk, subject.patch.commit, script, args, files)
    was, now = await asyncio.to_thread(lambda: (remarks(before), remarks(after)))
    log = "".join(
        f"== {when} the patch\n{text.decode('utf-8', 'replace')}"
        for when, text in (("before", before), ("after", after))
    )
    return Issues(len(was), len(now), difference(was, now), log)


async def _said(
    desk: Desk, commit: Sha, script: str, args: tuple[str, ...], files: Mapping[str, bytes] | None
) -> bytes:
    words = ("sh", "-c", AT, "sh", commit, "sh", "-c", script, "sh", *args)
    ran = await desk.run(*words, git=True, files=files)
    if ran.ended != "exit":
        raise Stopped(ran)
    if ran.code == _NO_CHECKOUT:
        raise InfraError(f"git could not check out {commit}: {ran.merged.decode(errors='replace')[-300:]}")
    return ran.merged + (b"\nit ended with exit code %d\n" % ran.code if ran.code else b"")


def remarks(said: bytes) -> list[Remark]:
    """Each line that is not make's own, with the indented ones that follow it. Pure."""
    found: list[list[str]] = []
    for whole in said.decode("utf-8", "replace").splitlines():
        line = whole[:_LONGEST].rstrip()
        if found and line[:1] in (" ", "\t"):
            found[-1].append(line)
        elif not _NOISE.match(line):
            found.append([line])
    return [_remark("\n".join(lines)) for lines in found]


def _remark(line: str) -> Remark:
    words = line.replace("/src/", "").replace("/tmp/out/", "")
    if not (found := _PLACE.match(line)):
        return Remark("", None, "warning", "", words)
    return Remark(found[1], int(found[2]) if found[2] else None, "warning", "", words)
