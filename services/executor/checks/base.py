"""What a check is: one question about a patch or a series, with one word and one line for an answer.

A check reads what it is given (`Subject`) and asks tools through a `Desk`; it never touches the machine, a database
or the network itself. What it says stands on Patchwork under its name, so names and texts are NIPA's where NIPA has
the check.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import IntEnum, StrEnum
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, ClassVar, Protocol

from pydantic import BaseModel, ConfigDict, Field

from services.executor.builds.compare import Comparison
from services.executor.builds.recipe import Recipe
from services.executor.cage.base import Limits, Ran
from shared.formats.trailers import message_of
from shared.model.ids import Sha
from shared.model.mails import FileChange, Mail
from shared.model.results import Cause, CheckState
from shared.settings import Duration

NO_COMMIT = Sha("")


class Level(StrEnum):
    """What a check is asked about: once a series, or once a patch."""

    SERIES = "series"
    PATCH = "patch"


class Needs(IntEnum):
    """What must be there before it can be asked; also the order in which checks are asked.

    MAIL: the mails alone, so it need not wait for the series to be applied. TREE: the applied series, a work tree
    included. BUILD: the same, and minutes.
    """

    MAIL = 0
    TREE = 1
    BUILD = 2


class CheckConfig(BaseModel):
    """Options every check has. `wants`: globs of paths; what touches none of them passes unasked."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    wants: tuple[str, ...] = ()
    time_limit: Duration | None = Field(default=None, description="default: that of the check")


@dataclass(frozen=True, slots=True)
class Patch:
    """A patch as mailed and, once the series is applied, as committed. `number` counts from 1; `commit` and `parent`
    are "" before. `raw` is the mail for tools that read mails.
    """

    number: int
    mail: Mail
    files: tuple[FileChange, ...]
    commit: Sha = NO_COMMIT
    parent: Sha = NO_COMMIT

    @property
    def paths(self) -> tuple[str, ...]:
        """Every path it touches, old names of renames included."""
        return tuple(dict.fromkeys(p for f in self.files for p in (f.path, f.old_path) if p))

    @property
    def text(self) -> bytes:
        """The patch as ``git format-patch`` would write it, for tools that know no transfer encodings: headers,
        message, diff. What stands between ``---`` and the diff is left out.
        """
        mail = self.mail
        head = f"From: {mail.author}\nSubject: {mail.subject.raw}\n\n{message_of(mail.body).strip()}\n---\n\n"
        return f"{head}{mail.diff}".encode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class Subject:
    """What is looked at. `patch` is None for a question about the series as a whole.

    `tree` is the settled tree ("" before), `kind` its kind, next or fixes; `branch` its branch's name. `marked`: the
    subject names the tree; `mark_expected`: it ought to. `cover` is the cover letter; `pull` the address of a pull
    request, else "". `beside` are the numbers of mailed patches that are looked at as part of the first, which stands
    for all that was pulled. `cover_pull` says that the series came with a pull request in its cover letter. `own` says
    that the commits are in the clone of whoever asks, not made of mails. `base` and `head` are commits, "" before it is
    applied.
    """

    project: str
    title: str
    patches: tuple[Patch, ...]
    patch: Patch | None = None
    cover: Mail | None = None
    tree: str = ""
    kind: str = "next"
    branch: str = ""
    base: Sha = NO_COMMIT
    head: Sha = NO_COMMIT
    marked: bool = False
    mark_expected: bool = False
    pull: str = ""
    cover_pull: bool = False
    beside: tuple[int, ...] = ()
    own: bool = False

    @property
    def looked_at(self) -> tuple[Patch, ...]:
        """The patch, or all of them."""
        return self.patches if self.patch is None else (self.patch,)

    @property
    def paths(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(p for patch in self.looked_at for p in patch.paths))

    @property
    def first(self) -> bool:
        return self.patch is None or self.patch.number == self.patches[0].number

    def touches(self, globs: Sequence[str]) -> bool:
        """Whether any path matches any of `globs` (``*`` crosses slashes, as in shells' ``case``)."""
        return any(fnmatchcase(path, glob) for path in self.paths for glob in globs)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing found. `path` and `line` (from 1) say where in the patched tree, "" and None if nowhere.

    `new` is false for what was there before the patch. `context` are lines around it, each with its number.
    """

    text: str
    path: str = ""
    line: int | None = None
    level: str = "warning"
    new: bool = True
    context: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Said:
    """What a check answers. `text` is the one line that stands on Patchwork; everything else is for the result page.

    `findings`: new ones first. `log` is the whole output of the tools. `repeat` is a shell command that does the same
    in a clone with the patch at HEAD, called so where it means the commit. `notes` are said besides, as "judged by the
    base's checkpatch". `counts` are figures, as before and after. `files` are what a script left in its results folder,
    by name. With `cause` INFRA the answer says nothing of the patch and is posted nowhere.
    """

    state: CheckState
    text: str
    findings: tuple[Finding, ...] = ()
    log: str = ""
    repeat: str = ""
    notes: tuple[str, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)
    cause: Cause | None = None


def success(text: str, **more: Any) -> Said:
    return Said(CheckState.SUCCESS, text, **more)


def warning(text: str, **more: Any) -> Said:
    return Said(CheckState.WARNING, text, **more)


def fail(text: str, **more: Any) -> Said:
    return Said(CheckState.FAIL, text, **more)


class Desk(Protocol):
    """What a check may ask of the machine while it looks at one subject.

    Tools run in a cage. There, `/src` is the work tree at the patch looked at (at the head for a series), read-only;
    `/judge` holds the scripts that judge, from the base: `scripts/` and whatever else the engine names; `/in` what
    was given as `files`. The working folder is `/src`.
    """

    async def run(
        self,
        *argv: str,
        cwd: str = "/src",
        env: Mapping[str, str] | None = None,
        stdin: bytes = b"",
        files: Mapping[str, bytes] | None = None,
        over: Mapping[str, bytes] | None = None,
        writable: bool = False,
        results: bool = False,
        limits: Limits | None = None,
        pass_fds: tuple[int, ...] = (),
        heard: Callable[[bytes], None] | None = None,
        git: bool = False,
        folders: Mapping[str, Path] | None = None,
    ) -> Ran:
        """Run a tool. `files`: name to content, read-only below `/in`. `over`: path in the tree to other content, shown
        in its place below `/src`. `writable`: `/src` may be written and is as it was afterwards. `results`: there
        is a writable `/results`; what is in it afterwards is `took`. `git`: `/src` is a git work tree with its HEAD,
        detached, at the commit looked at, and a branch of the name of the subject's (`base` if it has none) at
        the series' base; this is written in a throw-away layer, so it is `writable` as well. `folders`: absolute
        names inside to folders of this machine, read-only. The check's time limit holds for all its runs together.
        Raises InfraError if there is no cage or no such tool.
        """
        ...

    @property
    def took(self) -> Mapping[str, bytes]:
        """What the last run with `results` left there: plain files by relative name, within limits."""
        ...

    async def read(self, commit: Sha, path: str) -> bytes | None:
        """A file of a commit; None if it has none of that name (or it is no plain file)."""
        ...

    async def paths(self, commit: Sha, *below: str) -> tuple[str, ...]:
        """Paths of files of a commit, below the given ones or all."""
        ...

    async def ask_git(self, *argv: str) -> str:
        """What git says of the commits of the series' tree, by a command that only reads (log, show, rev-parse,
        cat-file, merge-base, diff-tree, ls-tree, rev-list). Raises Refused with git's words if it fails.
        """
        ...

    def has(self, tool: str) -> bool:
        """Whether the cage has a program of that name."""
        ...

    def describe(self, text: str) -> None:
        """Show a preliminary one-line description while work goes on."""
        ...

    @property
    def builder(self) -> "Builder":
        """Where kernels are built. See `services.executor.builds`."""
        ...


async def of_base(subject: Subject, desk: Desk, *paths: str) -> dict[str, bytes]:
    """Those of `paths` that the series touches, as they are in the base, to be shown over them: files in the tree that
    say how it is judged. One that the base does not have is shown empty.
    """
    touched = {path for patch in subject.patches for path in patch.paths}
    at = subject.head if subject.patch is None else subject.patch.commit
    return {
        path: await desk.read(subject.base, path) or b""
        for path in paths
        if path in touched and await desk.read(at, path) is not None
    }


class Builder(Protocol):
    """Builds trees before and after patches. `services.executor.builds` has the body."""

    async def compare(self, subject: Subject, recipe: Recipe, say: Callable[[str], None]) -> Comparison:
        """Build what is looked at and tell what its build says that the tree before did not say. `say` takes
        preliminary descriptions. Raises InfraError where the base cannot be built for want of the machine.
        """
        ...


class Check(Protocol):
    """One check, configured. Attributes are the class's for those of the rack, the folder's for scripts."""

    @property
    def name(self) -> str:
        """Its context on Patchwork."""

    @property
    def help(self) -> str:
        """One line for lists: what it looks for."""

    @property
    def level(self) -> Level: ...

    @property
    def needs(self) -> Needs: ...

    @property
    def pulls(self) -> bool:
        """Whether it is asked about pull requests, too."""

    @property
    def tools(self) -> tuple[str, ...]:
        """Programs that must be in the cage."""

    @property
    def uses(self) -> tuple[str, ...]:
        """Further programs, for some of what it looks at: without them it is asked all the same."""

    @property
    def wants(self) -> tuple[str, ...]: ...

    @property
    def time_limit(self) -> timedelta: ...

    async def ask(self, subject: Subject, desk: Desk) -> Said:
        """Look, and answer. Raises InfraError where the machine is to blame."""


class OurCheck:
    """What the checks of the rack have in common: their table of facts, and options from configuration."""

    name: ClassVar[str]
    help: ClassVar[str]
    level: ClassVar[Level] = Level.PATCH
    needs: ClassVar[Needs] = Needs.TREE
    pulls: ClassVar[bool] = False
    tools: ClassVar[tuple[str, ...]] = ()
    uses: ClassVar[tuple[str, ...]] = ()
    limit: ClassVar[timedelta] = timedelta(minutes=2)
    Config: ClassVar[type[CheckConfig]] = CheckConfig

    def __init__(self, config: CheckConfig | None = None) -> None:
        self.config = config if config is not None else self.Config()

    @property
    def wants(self) -> tuple[str, ...]:
        return self.config.wants

    @property
    def time_limit(self) -> timedelta:
        return self.config.time_limit or self.limit

    async def ask(self, subject: Subject, desk: Desk) -> Said:
        raise NotImplementedError
