"""Selftests that a patch adds are built, installed and ignored by git, and the lists they stand in are in order."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from posixpath import basename, dirname
from typing import ClassVar

from services.executor.checks.base import CheckConfig, Desk, Finding, OurCheck, Patch, Said, Subject, fail, success
from services.executor.lint import selftests
from services.executor.lint.compare import Difference, Remark, difference
from shared.model.mails import ChangeKind, FileChange

_RULES: dict[str, Callable[[str, str], list[Remark]]] = {
    "config": selftests.config_remarks,
    ".gitignore": selftests.gitignore_remarks,
    "Makefile": selftests.makefile_remarks,
}
_NEW = (ChangeKind.ADD, ChangeKind.COPY, ChangeKind.RENAME)


class CheckSelftestConfig(CheckConfig):
    """`below`: globs of the files that are looked at. `collected`: globs of those that a Makefile takes by a glob of
    its own, so that they are listed nowhere; here ``*`` does not cross a slash.
    """

    below: tuple[str, ...] = ("tools/testing/selftests/*",)
    collected: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Part:
    """What one of the three questions found: `bad` texts, or the `good` one, "" if there was nothing to ask."""

    bad: tuple[str, ...] = ()
    good: str = ""
    findings: tuple[Finding, ...] = ()

    @property
    def texts(self) -> tuple[str, ...]:
        return self.bad or ((self.good,) if self.good else ())


class CheckSelftest(OurCheck):
    """A list that was in disorder before is not held against a patch that adds no more of it."""

    name: ClassVar[str] = "check_selftest"
    help: ClassVar[str] = "new selftests stand in Makefile and .gitignore, lists are sorted"
    Config: ClassVar[type[CheckConfig]] = CheckSelftestConfig

    async def ask(self, subject: Subject, desk: Desk) -> Said:
        assert isinstance(self.config, CheckSelftestConfig)
        assert subject.patch is not None
        files = [one for one in subject.patch.files if one.kind is not ChangeKind.DELETE and self._concerns(one.path)]
        new = [one.path for one in files if one.kind in _NEW]
        if not files:
            return success("No changes to selftests")
        parts = [await _formats(files, subject.patch, desk)]
        if new:
            parts.append(await self._in_makefiles(new, subject.patch, desk))
            parts.append(await _in_gitignores(new, subject.patch, desk))
        text = "; ".join(text for part in parts for text in part.texts)
        say = fail if any(part.bad for part in parts) else success
        findings = tuple(sorted((one for part in parts for one in part.findings), key=lambda one: not one.new))
        return say(text or f"New files {len(new)}, modified {len(files) - len(new)}, no checks", findings=findings)

    def _concerns(self, path: str) -> bool:
        assert isinstance(self.config, CheckSelftestConfig)
        return any(fnmatchcase(path, glob) for glob in self.config.below)

    async def _in_makefiles(self, new: list[str], patch: Patch, desk: Desk) -> _Part:
        assert isinstance(self.config, CheckSelftestConfig)
        asked, missing = 0, []
        for path in new:
            word = _program(path) or (basename(path) if path.endswith((".sh", ".py")) else "")
            if not word or any(_same_folder(path, glob) for glob in self.config.collected):
                continue
            asked += 1
            if not selftests.listed(await _text(desk, patch, f"{dirname(path)}/Makefile"), word):
                missing.append(path)
        return _told(missing, "not found in Makefile", f"New files in Makefile checked ({asked})" if asked else "")


async def _in_gitignores(new: list[str], patch: Patch, desk: Desk) -> _Part:
    """Only programs: a source that is a part of another one leaves nothing behind of its own name."""
    asked, missing = 0, []
    for path in new:
        word = _program(path)
        if not word or not selftests.is_program(await _text(desk, patch, f"{dirname(path)}/Makefile"), word):
            continue
        asked += 1
        if not selftests.ignored(await _text(desk, patch, f"{dirname(path)}/.gitignore"), word):
            missing.append(path)
    good = f"New files in gitignore checked ({asked})" if asked else ""
    return _told(missing, "not found in .gitignore", good, _program)


def _told(missing: list[str], what: str, good: str, name: Callable[[str], str] = str) -> _Part:
    findings = tuple(Finding(f"{name(path)} {what}", path) for path in missing)
    return _Part(tuple(f"{name(path)} {what}" for path in missing), good, findings)


async def _formats(files: list[FileChange], patch: Patch, desk: Desk) -> _Part:
    bad: list[str] = []
    findings: list[Finding] = []
    asked = 0
    for file in files:
        if not (rule := _RULES.get(basename(file.path))):
            continue
        asked += 1
        differs = await _compared(rule, file, patch, desk)
        if differs.new:
            bad.append(f"Bad format: {file.path}")
        findings += _findings(differs)
    return _Part(tuple(bad), f"Good format ({asked})" if asked else "", tuple(findings))


async def _compared(rule: Callable[[str, str], list[Remark]], file: FileChange, patch: Patch, desk: Desk) -> Difference:
    after = rule(file.path, await _text(desk, patch, file.path))
    old = b"" if file.kind is ChangeKind.ADD else await desk.read(patch.parent, file.old_path or file.path)
    return difference(rule(file.path, (old or b"").decode("utf-8", "replace")), after)


def _findings(differs: Difference) -> Iterator[Finding]:
    for some, new in ((differs.new, True), (differs.kept, False)):
        yield from (Finding(one.text, one.path, one.line, "error", new) for one in some)


async def _text(desk: Desk, patch: Patch, path: str) -> str:
    return (await desk.read(patch.commit, path) or b"").decode("utf-8", "replace")


def _program(path: str) -> str:
    """The program that a C file is built into, "" for any other file."""
    return basename(path).split(".")[0] if path.endswith(".c") and not path.endswith(".bpf.c") else ""


def _same_folder(path: str, glob: str) -> bool:
    return dirname(path) == dirname(glob) and fnmatchcase(basename(path), basename(glob))
