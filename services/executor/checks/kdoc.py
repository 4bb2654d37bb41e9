"""Whether a patch makes kernel-doc complain of more: what it says of the changed files before and after, as sets.

Line numbers do not count, so that what merely moved is not new. The script is the base's.
"""

import asyncio
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from services.executor.checks.base import CheckConfig, Desk, Finding, OurCheck, Patch, Said, Subject, fail, success
from services.executor.lint.limited import Limited, ended
from shared.errors import InfraError
from shared.formats.clean import plain
from shared.model.ids import Sha
from shared.model.mails import ChangeKind

_SCRIPT = "scripts/kernel-doc"
_OLD = re.compile(r"(?P<path>[^\s:]+):(?P<line>\d+): (?P<kind>warning|error): (?P<text>.*)", re.I | re.S)
_NEW = re.compile(r"(?P<kind>warning|error): (?P<path>[^\s:]+):(?P<line>\d+):?\s+(?P<text>.*)", re.I | re.S)
_SUMMARY = re.compile(r"\d+ (?:warnings|errors)(?: as Errors)?")
_POSITION = re.compile(r"\bline \d+")
_MOST_FILES = 2000


class KdocConfig(CheckConfig):
    files: tuple[str, ...] = ("*.c", "*.h")


@dataclass(frozen=True, slots=True)
class Complaint:
    """One thing that kernel-doc says. `path` is "" where it names none; `line` is no part of what it is."""

    kind: str
    path: str
    text: str
    line: int | None = None

    @property
    def what(self) -> tuple[str, str, str]:
        return self.kind, self.path, _POSITION.sub("line N", self.text)

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.kind}: {self.text}" if self.path else self.text


class Kdoc(OurCheck):
    name = "kdoc"
    help = "no new kernel-doc warnings"
    pulls = True
    tools = ("perl",)
    Config = KdocConfig
    config: KdocConfig

    async def ask(self, subject: Subject, desk: Desk) -> Said:
        assert subject.patch is not None
        patch = subject.patch
        names = await _names(patch, desk) if subject.pull else names_of(patch)
        names = {new: old for new, old in names.items() if any(fnmatchcase(new or old, g) for g in self.config.files)}
        contents = {new: await desk.read(patch.parent, old) for new, old in names.items() if old}
        before = {path: content for path, content in contents.items() if content is not None}
        after = [new for new in names if await desk.read(patch.commit, new) is not None]
        options = await _options(subject.base, desk)
        try:
            was = await _complaints(desk, [*options, *_named(before)], files=before, cwd="/in") if before else []
            now = await _complaints(desk, [*options, *_named(after)]) if after else []
        except Limited as exc:
            return exc.said
        return said(was, now, after)


def names_of(patch: Patch) -> dict[str, str]:
    """Paths after the patch, each with the path of before, "" for a new file. A deleted file has its own for both."""
    return {
        change.path: "" if change.kind is ChangeKind.ADD else change.old_path or change.path
        for change in patch.files[:_MOST_FILES]
        if change.kind is not ChangeKind.COPY
    }


async def _names(patch: Patch, desk: Desk) -> dict[str, str]:
    """The same of all that was pulled."""
    said = await desk.ask_git("diff-tree", "-r", "--no-renames", "--name-status", "-z", patch.parent, patch.commit)
    words = said.split("\0")
    pairs = list(zip(words[::2], words[1::2], strict=False))[:_MOST_FILES]
    return {path: "" if letter == "A" else path for letter, path in pairs}


async def _options(base: Sha, desk: Desk) -> tuple[str, ...]:
    """All warnings, where the script knows that word: the older ones have no other warnings than those on."""
    script = await desk.read(base, _SCRIPT)
    return ("-none",) if script is not None and b"Wall" not in script else ("-Wall", "-none")


def _named(paths: Iterable[str]) -> list[str]:
    """So that none of them is an option."""
    return [f"./{path}" for path in paths]


async def _complaints(
    desk: Desk, argv: Sequence[str], files: Mapping[str, bytes] | None = None, cwd: str = "/src"
) -> list[Complaint]:
    ran = await desk.run(f"/judge/{_SCRIPT}", *argv, files=files, cwd=cwd)
    ended("kernel-doc", ran)
    output = ran.stderr.decode("utf-8", "replace")
    found = await asyncio.to_thread(complaints, output)
    if ran.code and not any(one.path for one in found):
        raise InfraError(f"kernel-doc: {output.strip()[-300:] or f'ended with {ran.code}'}")
    return found


def complaints(output: str) -> list[Complaint]:
    """What is said, one each; a line that ends in a colon goes on in the next."""
    found: list[Complaint] = []
    lines = iter(output.splitlines())
    for line in lines:
        line = f"{line} {next(lines, '').strip()}" if line.rstrip().endswith(":") else line
        if not line.strip() or _SUMMARY.fullmatch(line.strip()):
            continue
        match = _OLD.fullmatch(line.strip()) or _NEW.fullmatch(line.strip())
        if match:
            path = match["path"].removeprefix("./")
            found.append(Complaint(match["kind"].lower(), path, plain(match["text"].strip()), int(match["line"])))
        else:
            found.append(Complaint("unknown", "", plain(line.strip())))
    return found


def said(was: Sequence[Complaint], now: Sequence[Complaint], files: Iterable[str]) -> Said:
    added, gone = _without(now, was), _without(was, now)
    counts = {"before": len(was), "after": len(now), "add": len(added), "del": len(gone)}
    more = " ".join(f"{word}: {counts[word]}" for word in ("add", "del") if counts[word])
    text = f"Warnings before: {len(was)} after: {len(now)}" + (f" ({more})" if more else "")
    old = [replace(_finding(one), new=False) for one in _without(now, added)]
    log = "".join(
        f"{head}:\n" + "".join(f"  {one}\n" for one in many)
        for head, many in (("new", added), ("gone", gone), ("before", was), ("after", now))
    )
    facts = {
        "findings": (*map(_finding, added), *old), "counts": counts, "log": log,
        "repeat": shlex.join(["./scripts/kernel-doc", "-none", *_named(files)]),
    }  # fmt: skip
    return (fail if added else success)(text, **facts)


def _without(some: Iterable[Complaint], others: Iterable[Complaint]) -> list[Complaint]:
    known = {one.what for one in others}
    return [one for one in some if one.what not in known]


def _finding(one: Complaint) -> Finding:
    return Finding(one.text, one.path, one.line, "error" if one.kind == "error" else "warning")
