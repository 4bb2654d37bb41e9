"""What the base's checkpatch.pl says of a patch as it was mailed.

There is no git for the script. Without, it looks at the form of what names a commit (GIT_COMMIT_ID, BAD_FIXES_TAG), but
takes every commit for one that is not there (UNKNOWN_COMMIT_ID), so that it is not asked about that: whether a commit
of a ``Fixes:`` is there says verify_fixes. A git work tree would cost an index of eighty thousand files for each
patch, a copy of the tree where there is no cage, and slow the script down by questions to git.
"""

import re
import shlex
from collections.abc import Mapping

from pydantic import Field

from services.executor.checks.base import (
    CheckConfig,
    Desk,
    Finding,
    OurCheck,
    Said,
    Subject,
    fail,
    of_base,
    success,
    warning,
)
from services.executor.lint.limited import Limited, ended
from shared.errors import InfraError
from shared.formats.clean import plain

_MESSAGE = re.compile(r"(ERROR|WARNING|CHECK): (.*)")
_PLACE = re.compile(r"#\d+: (?:FILE: (?P<path>.*?):(?P<line>\d+):)?.*")
_TOTAL = re.compile(r"total: (\d+) errors, (\d+) warnings, (?:(\d+) checks, )?\d+ lines checked")
_REPORTED = re.compile(r"^(?:#\d+:|(?:ERROR|WARNING|CHECK): )", re.M)
_MOST = 1000
_LONGEST = 2000
_WITHOUT_GIT = "UNKNOWN_COMMIT_ID"
_LEVELS: Mapping[str, str] = {"ERROR": "error", "WARNING": "warning", "CHECK": "note"}
_READS = (".scripts/.checkpatch.conf", "scripts/get_maintainer.pl")
"""What the script reads or runs from the tree rather than from beside itself, the rules at its root aside, of which
the desk takes care."""


class CheckpatchConfig(CheckConfig):
    """`ignore`: types of messages, as ``--show-types`` names them. `dictionary`: a codespell dictionary, if the script
    does not find one by itself.
    """

    ignore: tuple[str, ...] = ()
    strict: bool = True
    codespell: bool = True
    dictionary: str = ""
    line_length: int = Field(default=80, ge=40)

    @property
    def options(self) -> list[str]:
        named = {"--strict": self.strict, "--codespell": self.codespell or self.dictionary}
        options = [*(option for option, on in named.items() if on), f"--max-line-length={self.line_length}"]
        options += [f"--codespellfile={self.dictionary}"] if self.dictionary else []
        return [*options, f"--ignore={','.join(dict.fromkeys((*self.ignore, _WITHOUT_GIT)))}"]


class Checkpatch(OurCheck):
    name = "checkpatch"
    help = "style, by the tree's own checkpatch.pl"
    tools = ("perl",)
    Config = CheckpatchConfig
    config: CheckpatchConfig

    async def ask(self, subject: Subject, desk: Desk) -> Said:
        assert subject.patch is not None
        ran = await desk.run(
            "/judge/scripts/checkpatch.pl", *self.config.options, "--color=never", "--", "/in/patch",
            files={"patch": subject.patch.text}, over=await of_base(subject, desk, *_READS),
        )  # fmt: skip
        try:
            ended("checkpatch", ran)
        except Limited as exc:
            return exc.said
        output, errors = ran.stdout.decode("utf-8", "replace"), ran.stderr.decode("utf-8", "replace")
        total = last_total(output)
        # Its exit code says the same: a total of which it knows nothing stands in the patch.
        if total is None or (ran.code != 0) != any(counted(total)):
            raise InfraError(f"checkpatch.pl: {errors.strip()[-300:] or f'ended with {ran.code}'}")
        repeat = shlex.join(["./scripts/checkpatch.pl", *self.config.options, "-g", "HEAD"])
        notes = ("no codespell dictionary was at hand",) if "No codespell typos will be found" in errors else ()
        return said(output, log=output + errors, repeat=repeat, notes=notes)


def said(output: str, *, log: str = "", repeat: str = "", notes: tuple[str, ...] = ()) -> Said:
    """By the total that the script prints at the end. The text is every message once, in order of the alphabet.

    Raises InfraError if there is none: what it printed is not whole.
    """
    total = last_total(output)
    if total is None:
        raise InfraError("checkpatch.pl: it printed no total")
    errors, warnings, checks = counted(total)
    counts = {"errors": errors, "warnings": warnings, "checks": checks}
    found = findings(output)
    text = "; ".join(sorted({f"{kind}: {one.text}" for kind, one in found}))[:_LONGEST] or total[0]
    if not errors + warnings + checks:
        return success(total[0], log=log, repeat=repeat, notes=notes, counts=counts)
    answer = fail if errors else warning
    return answer(text, findings=tuple(f for _, f in found), log=log, repeat=repeat, notes=notes, counts=counts)


def last_total(output: str) -> re.Match[str] | None:
    """The line that the script prints after all messages. One that a message follows is the patch's own words."""
    at = output.rfind("\ntotal: ") + 1
    line, _, after = output[at:].partition("\n")
    return None if _REPORTED.search(after) else _TOTAL.fullmatch(line)


def counted(total: re.Match[str]) -> tuple[int, int, int]:
    """Errors, warnings, checks."""
    errors, warnings, checks = (int(number or 0) for number in total.groups())
    return errors, warnings, checks


def findings(output: str) -> list[tuple[str, Finding]]:
    """Each message with its word, errors first. The line after a message says where, if it is anywhere in a file.

    A message follows an empty line: other lines may be the patch's own words. Errors beyond the most that are kept are
    no longer looked for, and so with the others.
    """
    lines = [line[:_LONGEST] for line in output.splitlines()]
    found: dict[str, list[Finding]] = {word: [] for word in _LEVELS}
    for before, line, after in zip(["", *lines], lines, [*lines[1:], ""], strict=False):
        if not before.strip() and (message := _MESSAGE.fullmatch(line)):
            if len(found[message[1]]) >= _MOST:
                continue
            place = _PLACE.fullmatch(after)
            path, at = (place["path"], place["line"]) if place else (None, None)
            finding = Finding(plain(message[2]), path or "", int(at) if at else None, _LEVELS[message[1]])
            found[message[1]].append(finding)
    return [(word, one) for word, some in found.items() for one in some]
