"""Ask a linter about the files that a patch touches, as they were and as they are.

The tool runs on each file by itself, in the work tree, so that what it reads besides (sourced scripts, imported
modules) is there. Its configuration is the base's: a series that changes how it is judged is judged as before.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from shlex import join, quote
from typing import Protocol

from services.executor.cage.base import Ran
from services.executor.checks.base import Desk, Finding, Said, Subject, fail, success, warning
from services.executor.lint.changed import Touched, named, touched
from services.executor.lint.compare import Difference, Remark, difference
from services.executor.lint.missing import missing
from shared.errors import InfraError
from shared.formats.diff_lines import changed_lines
from shared.model.results import Cause


class Linter(Protocol):
    """One tool. `package` is what to install for it; `configs` are base names of files that tell it how to judge,
    `neutral` is what such a file says that says nothing. `inside` has it run in the file's own folder.
    """

    tool: str
    package: str
    suffix: str
    configs: tuple[str, ...]
    neutral: bytes
    inside: bool

    def argv(self, name: str) -> tuple[str, ...]: ...

    def read(self, ran: Ran, path: str) -> list[Remark]:
        """What it said of `path`. Raises ValueError if that is not what the tool says."""
        ...


class Stopped(Exception):
    """A limit ended the tool before it had looked at everything."""

    def __init__(self, ran: Ran, path: str) -> None:
        super().__init__(f"{path}: {ran.said}")
        self.ran = ran


@dataclass(frozen=True, slots=True)
class Looked:
    """What a linter said, by file; a file that is new is not in `before`."""

    before: Mapping[str, tuple[Remark, ...]]
    after: Mapping[str, tuple[Remark, ...]]
    differs: Difference
    findings: tuple[Finding, ...]
    log: str
    repeat: str
    notes: tuple[str, ...]

    def answer(self, text: str, *, bad: bool, poor: bool) -> Said:
        """Fail if it is `bad`, warn if it is `poor`."""
        counts = {"new": len(self.differs.new), "kept": len(self.differs.kept), "gone": len(self.differs.gone)}
        say = fail if bad else warning if poor else success
        return say(
            text, findings=self.findings, log=self.log, repeat=self.repeat, notes=self.notes, counts=counts,
        )  # fmt: skip

    def count(self, *levels: str) -> tuple[int, int]:
        """How many remarks of these levels there were before, and are now."""
        before = sum(one.level in levels for some in self.before.values() for one in some)
        return before, sum(one.level in levels for some in self.after.values() for one in some)

    def has_new(self, *levels: str) -> bool:
        return any(one.level in levels for one in self.differs.new)


async def ask_linter(linter: Linter, subject: Subject, desk: Desk) -> Looked | None:
    """What it says before and after the patch; None if the patch touches none of its files.

    Raises InfraError if the tool is not there or breaks, Stopped if a limit ends it.
    """
    patch = subject.patch
    files = touched(patch, linter.suffix) if patch is not None else ()
    if patch is None or not files:
        return None
    if not desk.has(linter.tool):
        raise InfraError(missing((linter.tool,), linter.package))
    over, notes = await _judging(linter, subject, desk)
    log: list[str] = []
    before: dict[str, tuple[Remark, ...]] = {}
    after: dict[str, tuple[Remark, ...]] = {}
    for file in files:
        old = await desk.read(patch.parent, file.before) if file.before else None
        if old is not None:
            before[file.path] = await _one(linter, file, desk, {**over, file.path: old}, log, "before")
        after[file.path] = await _one(linter, file, desk, over, log, "after")
    differs = difference(_all(before), _all(after), await _written(subject, desk, files))
    return Looked(before, after, differs, _findings(differs), "".join(log), _repeat(linter, files), notes)


def stopped(linter: Linter, exc: Stopped) -> Said:
    """The answer where a limit ended the tool."""
    cause = Cause.TIMEOUT if exc.ran.ended == "time" else Cause.PATCH
    return fail(f"{linter.tool} {exc.ran.said}", log=exc.ran.merged.decode(errors="replace"), cause=cause)


async def errors_and_warnings(linter: Linter, subject: Subject, desk: Desk, untouched: str) -> Said:
    """The answer of a tool that tells errors, which fail, from warnings; `untouched` where it has nothing to read."""
    try:
        looked = await ask_linter(linter, subject, desk)
    except Stopped as exc:
        return stopped(linter, exc)
    if looked is None:
        return success(untouched)
    (was, now), (was_warned, now_warned) = looked.count("error"), looked.count("warning")
    text = f"Errors before: {was} (+warn: {was_warned}) this patch: {now} (+warn: {now_warned})"
    return looked.answer(text, bad=looked.has_new("error"), poor=looked.has_new("warning"))


async def _judging(linter: Linter, subject: Subject, desk: Desk) -> tuple[dict[str, bytes], tuple[str, ...]]:
    """The base's text of each file that tells the tool how to judge and that the series touches, with a note."""
    all_paths = dict.fromkeys(path for patch in subject.patches for path in patch.paths)
    over, notes = {}, []
    for path in named(tuple(all_paths), linter.configs):
        over[path] = await desk.read(subject.base, path) or linter.neutral
        notes.append(f"judged by the base's {path}")
    return over, tuple(notes)


async def _one(
    linter: Linter, file: Touched, desk: Desk, over: Mapping[str, bytes], log: list[str], when: str
) -> tuple[Remark, ...]:
    """What the tool says of one file."""
    argv, cwd = _command(linter, file)
    ran = await desk.run(*argv, cwd=f"/src/{cwd}".rstrip("/"), over=over)
    if ran.ended != "exit":
        raise Stopped(ran, file.path)
    try:
        remarks = linter.read(ran, file.path)
    except ValueError as exc:
        said = (ran.stderr or ran.stdout).decode(errors="replace").strip()[:500]
        raise InfraError(f"{linter.tool} says nothing that can be read ({exc}), exit code {ran.code}: {said}") from None
    log.append(f"== {file.path}, {when} the patch: {join(argv)}\n" + "".join(f"{one}\n" for one in remarks))
    return tuple(remarks)


def _command(linter: Linter, file: Touched) -> tuple[tuple[str, ...], str]:
    """The command, and the folder in the tree where it runs."""
    return (linter.argv(file.name), file.folder) if linter.inside else (linter.argv(f"./{file.path}"), "")


def _repeat(linter: Linter, files: Sequence[Touched]) -> str:
    commands = [_command(linter, file) for file in files]
    return "\n".join(f"(cd {quote(cwd)} && {join(argv)})" if cwd else join(argv) for argv, cwd in commands)


def _all(remarks: Mapping[str, tuple[Remark, ...]]) -> tuple[Remark, ...]:
    return tuple(one for some in remarks.values() for one in some)


async def _written(subject: Subject, desk: Desk, files: Sequence[Touched]) -> dict[str, set[int]]:
    """The lines that the patch added, by path, as they stand in the commit."""
    assert subject.patch is not None
    paths = sorted({path for file in files for path in (file.path, file.before) if path})
    diff = await desk.ask_git(
        "diff-tree", "-p", "-M", "--no-color",
        subject.patch.parent, subject.patch.commit, "--", *paths,
    )  # fmt: skip
    found: dict[str, set[int]] = {}
    for line in changed_lines(diff):
        if line.added:
            found.setdefault(line.path, set()).add(line.number)
    return found


def _findings(differs: Difference) -> tuple[Finding, ...]:
    """New ones first."""
    new = [_finding(one, True) for one in differs.new]
    return (*new, *(_finding(one, False) for one in differs.kept))


def _finding(one: Remark, new: bool) -> Finding:
    text = f"{one.text} [{one.code}]" if one.code else one.text
    return Finding(text, one.path, one.line, "error" if one.level == "error" else "warning", new)
