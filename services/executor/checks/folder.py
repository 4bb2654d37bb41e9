"""Checks that are scripts: a folder with an `info.json`, as NIPA's, or as TOML names it. docs/how-to/add-a-check.md

The contract is NIPA's. A program runs in the tree, a git work tree with the patch at HEAD, and may change it: what it
does is thrown away. Exit code 0 is success, 250 a warning, 111 pending, anything else a failure. It is told DESC_FD,
the descriptor that takes its one-line description, RESULTS_DIR, BRANCH_BASE and, if it looks at patches,
FIRST_IN_SERIES. Or a Python function is called with a tree, a patch or a series and the folder for results, and gives
a code and a description, and perhaps a log. See `services.executor.scripts.inside` for what it is given.
"""

import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.executor.cage.base import Ran
from services.executor.checks.base import Desk, Level, Needs, Said, Subject
from services.executor.scripts import inside
from services.executor.scripts.asked import asked
from services.executor.scripts.description import Description
from services.executor.scripts.info import Info, folders, read_info
from shared.errors import InfraError, Refused
from shared.model.results import Cause, CheckState
from shared.settings import Duration

TIME_LIMIT = timedelta(hours=1)
QUICK = timedelta(minutes=5)
"""A script that says that it takes no longer is asked before builds are."""

_ROOT = "/nipa"
_STATES = {0: CheckState.SUCCESS, 111: CheckState.PENDING, 250: CheckState.WARNING}
_NO_WORDS = "Link"
# Shells such as dash know descriptors of one digit only.
_AS_THREE = 'exec 3>&"$0"; export DESC_FD=3; exec "$@"'


class FolderOptions(BaseModel):
    """``[….checking.check.NAME]`` with a `folder`: what else stands there goes before the folder's `info.json`."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    folder: Path
    level: Level | None = None
    pull_requests: bool | None = Field(default=None, alias="pull-requests")
    disabled: bool | None = None
    time_limit: Duration | None = None
    wants: tuple[str, ...] | None = None
    needs: tuple[str, ...] | None = None
    help: str | None = None


@dataclass(frozen=True)
class FolderCheck:
    """See `base.Check`. `root` is the folder of folders that `folder` is part of, which scripts may look around in."""

    name: str
    folder: Path
    root: Path
    level: Level
    info: Info

    @property
    def help(self) -> str:
        return self.info.help or f"script in {self.folder}"

    @property
    def needs(self) -> Needs:
        return Needs.TREE if self.time_limit <= QUICK else Needs.BUILD

    @property
    def pulls(self) -> bool:
        return self.info.pull_requests

    @property
    def tools(self) -> tuple[str, ...]:
        return self.info.needs

    @property
    def uses(self) -> tuple[str, ...]:
        return ()

    @property
    def wants(self) -> tuple[str, ...]:
        return self.info.wants

    @property
    def time_limit(self) -> timedelta:
        return self.info.time_limit or TIME_LIMIT

    async def ask(self, subject: Subject, desk: Desk) -> Said:
        branch = subject.branch or "base"
        description = Description(desk.describe)
        files = {} if self.info.run else self._python(subject, branch)
        with description.pipe() as writing:
            ran = await desk.run(
                "bash", "-c", _AS_THREE, str(writing), *self._argv(), env=self._env(subject, branch), files=files,
                pass_fds=(writing,), folders=self._folders(), git=True, results=True,
            )  # fmt: skip
        if self.info.pymod and ran.ended == "exit" and ran.code == inside.NO_ANSWER:
            raise InfraError(f"a fault of the check: {_last(ran.stderr)}")
        return self._told(ran, description, desk, branch, subject)

    @property
    def _inside(self) -> str:
        """Where the folder is in the cage."""
        where = self.folder.relative_to(self.root) if self.folder != self.root else Path(self.level, self.name)
        return f"{_ROOT}/tests/{where}"

    def _folders(self) -> Mapping[str, Path]:
        """The folder, with its neighbours if it has some; NIPA's `core` where that lies beside them."""
        if self.folder == self.root:
            return {self._inside: self.folder}
        core = self.root.parent / "core"
        beside = {f"{_ROOT}/core": core} if self.root.name == "tests" and (core / "__init__.py").is_file() else {}
        return {f"{_ROOT}/tests": self.root, **beside}

    def _argv(self) -> Sequence[str]:
        if self.info.pymod:
            return ("/usr/bin/python3", "-I", "-B", "/in/inside.py")
        program, *rest = self.info.run
        return (program if program.startswith("/") else f"{self._inside}/{program}", *rest)

    def _env(self, subject: Subject, branch: str) -> dict[str, str]:
        first = {"FIRST_IN_SERIES": str(int(subject.first))} if self.level is Level.PATCH else {}
        return {"RESULTS_DIR": "/results", "BRANCH_BASE": branch, **first}

    def _python(self, subject: Subject, branch: str) -> dict[str, bytes]:
        package = self._inside.removeprefix(f"{_ROOT}/").replace("/", ".")
        document = asked(
            subject, root=_ROOT, module=f"{package}.{self.info.pymod}", function=self.info.pyfunc, branch=branch
        )
        return {"inside.py": Path(inside.__file__).read_bytes(), "asked.json": document}

    def _told(self, ran: Ran, description: Description, desk: Desk, branch: str, subject: Subject) -> Said:
        text, state, cause = description.line, CheckState.FAIL, None
        if ran.ended == "exit":
            state = _STATES.get(ran.code, CheckState.FAIL)
        else:
            text = f"{ran.said}; {text}" if text else ran.said
            cause = Cause.TIMEOUT if ran.ended == "time" else Cause.PATCH
        log = ran.merged.decode("utf-8", "replace")
        if description.cut:
            log += f"\n== the description\n{description.text}\n"
        return Said(
            state, text or _NO_WORDS, log=log, files=dict(desk.took), cause=cause, repeat=self._repeat(branch, subject)
        )

    def _repeat(self, branch: str, subject: Subject) -> str:
        if self.info.pymod:
            return ""
        env = {"DESC_FD": "1", **self._env(subject, branch), "RESULTS_DIR": "/tmp/results"}
        words = [f"{name}={shlex.quote(value)}" for name, value in env.items()]
        command = shlex.join((str(self.folder / self.info.run[0]), *self.info.run[1:]))
        return f"mkdir -p /tmp/results; {' '.join(words)} {command}"


def folders_in(path: Path) -> list[FolderCheck]:
    """Every check in a folder of folders, as NIPA's ``tests`` is, but for those that say that they are disabled.

    Raises Refused for one that cannot be run, naming it.
    """
    root = path.absolute()
    found = [_check(folder.name, folder, root, read_info(folder), level) for folder, level in folders(root)]
    return [check for check in found if not check.info.disabled]


def folder_check(name: str, options: Mapping[str, Any]) -> FolderCheck:
    """The check of that name in the folder that the table `options` names. Raises Refused, naming the key."""
    try:
        table = FolderOptions.model_validate(dict(options))
    except ValidationError as exc:
        raise Refused("; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in exc.errors())) from None
    folder = table.folder.absolute()
    over = table.model_dump(exclude={"folder"}, exclude_none=True, by_alias=True)
    info = read_info(folder, over)
    if info.disabled:
        raise Refused(f"folder: {folder} is disabled by its info.json")
    place = folder.parent.name
    return _check(name, folder, folder, info, Level(place) if place in list(Level) else None)


def _check(name: str, folder: Path, root: Path, info: Info, level: Level | None) -> FolderCheck:
    if info.run and not info.run[0].startswith("/") and not os.access(folder / info.run[0], os.X_OK):
        raise Refused(f"{folder}: {info.run[0]} is no program: not there, or not executable")
    if info.pymod and not (folder / f"{info.pymod.replace('.', '/')}.py").is_file():
        raise Refused(f"{folder}: there is no {info.pymod}.py")
    return FolderCheck(name, folder, root, info.level or level or Level.PATCH, info)


def _last(said: bytes) -> str:
    lines = said.decode("utf-8", "replace").strip().splitlines()
    return lines[-1][:300] if lines else "it said nothing"
