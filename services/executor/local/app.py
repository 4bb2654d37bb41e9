"""`netci check` put together: what is given, which checks, a cage, and where answers go."""

import asyncio
import os
import shutil
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pydantic import Field

from services.executor.builds.builder import builders
from services.executor.cage.absent import NoCage, tried
from services.executor.cage.at_hand import isolation_for
from services.executor.cage.base import Isolation
from services.executor.checking.configured import configured
from services.executor.checking.place import Machine, has_tool
from services.executor.checking.plan import Plan, plan
from services.executor.checking.run import carry_out
from services.executor.checking.sink import Task
from services.executor.checking.subjects import subject_of
from services.executor.checks.base import Check, Needs, Subject
from services.executor.local.clone import borrow, clone_at
from services.executor.local.given import Done, Given, given
from services.executor.local.printed import Look, looked_at
from services.executor.local.screen import Document, Lines, Screen
from services.executor.local.tree import Kind, settled
from shared.errors import InfraError, Refused
from shared.settings import Checking, Checks, Name, Project, Settings, Tree, load_as


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a person asked for. `checks` are names, none for all that are quick; `how` is text, json or stream."""

    tree: Path = Path()
    patches: str = ""
    base: str = ""
    checks: tuple[str, ...] = ()
    leave: tuple[str, ...] = ()
    builds: bool = False
    preset: str = ""
    config: Path | None = None
    project: str = ""
    kind: Kind | None = None
    bare: bool = False
    hands: int = 0
    how: str = "text"
    verbose: bool = False
    cache: Path | None = None
    path: tuple[Path, ...] = ()


class ProjectHere(Project):
    """A project of which only the checks are asked: a file with no more than that will do."""

    trees: dict[Name, Tree] = Field(default_factory=dict)


class SettingsHere(Settings):
    projects: dict[Name, ProjectHere]  # type: ignore[assignment]  # dict is invariant; it is only read


@dataclass(frozen=True, slots=True)
class Configured:
    """Checks to choose from, the machine's table, and trees by tag; `project` is a name for links and logs."""

    checks: tuple[Check, ...]
    machine: Checks
    trees: dict[str, Kind] = field(default_factory=dict)
    project: str = "local"


async def check(wanted: Wanted) -> int:
    """Check, and say so; the exit code. Raises Refused for wrong use, InfraError for a machine that lacks something,
    Done where there is nothing to look at; of that a program gets a document as always, with no answers.
    """
    ready = configuration(wanted)
    chosen = choose(ready.checks, wanted)
    clone = await clone_at(wanted.tree)
    store, folder = await borrow(clone, wanted.cache or cache())
    try:
        found = await given(wanted.patches, clone, store, wanted.base)
    except Done:
        if wanted.how == "text":
            raise
        return _sink(wanted, Subject(ready.project, "", ()), 0, 0).end().exit_code
    subject = _subject(found, ready, wanted)
    isolation = await isolated(ready.machine, folder / "cages")
    place = Machine.of(isolation, ready.machine).place(store, folder, builders(folder / "builds"))
    place.sweep()
    todo = unless_named(plan(chosen, subject), found, wanted)
    sink = _sink(wanted, subject, len(todo.tasks), max((len(task.check) for task in todo.tasks), default=0))
    if isinstance(sink, Screen):
        place.seats.tell = sink.note
        sink.note("\n".join((*found.notes, *looked_at(subject, found.on))))
        if isinstance(isolation, NoCage):
            sink.note(f"only what runs nothing can be told: {isolation.why}")
    try:
        await carry_out(todo, subject, place, sink)
        return sink.end().exit_code
    except asyncio.CancelledError:
        if isinstance(sink, Screen):
            sink.broken_off()
        raise
    finally:
        place.close()
        isolation.close()


OTHERWISE = "--bare runs tools without a cage, with all that you may do"


async def isolated(machine: Checks, state: Path) -> Isolation:
    """A cage that holds, tried before anything is made for what runs in it; else what stands for none."""
    try:
        isolation = isolation_for(machine, state, OTHERWISE)
    except InfraError as exc:
        return NoCage(str(exc))
    if machine.isolation != "bare" and (trouble := await tried(isolation)):
        isolation.close()
        return NoCage(f"no cage can be made: {trouble}; {OTHERWISE}")
    return isolation


def cache() -> Path:
    """Where what may be deleted at any time is kept between two times."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "netci"


def configuration(wanted: Wanted) -> Configured:
    """As a file says, or as ships with us."""
    over: dict[str, object] = {"isolation": "bare"} if wanted.bare else {}
    over |= {"hands": wanted.hands} if wanted.hands else {}
    tools = _tools(wanted.path)
    if wanted.config is None:
        table = Checking.model_validate({"preset": wanted.preset})
        return Configured(configured(table, "--preset"), Checks.model_validate({**over, "path": tools}))
    settings = load_as(SettingsHere, wanted.config, "config/example.toml")
    name, project = _project(settings.projects, wanted.project)
    table = project.checking or Checking()
    if wanted.preset:
        table = table.model_copy(update={"preset": wanted.preset})
    trees: dict[str, Kind] = {
        tag: tree.kind for key, tree in project.trees.items() for tag in (*tree.tags, key)
    }  # fmt: skip
    machine = settings.checks.model_copy(update={**over, "path": (*tools, *settings.checks.path)})
    return Configured(configured(table, f"projects.{name}.checking"), machine, trees, name)


def _tools(folders: tuple[Path, ...]) -> tuple[Path, ...]:
    if wrong := [folder for folder in folders if not folder.is_dir()]:
        raise Refused(f"--path: {wrong[0]} is no folder")
    return tuple(folder.resolve() for folder in folders)


def _project(projects: dict[str, ProjectHere], name: str) -> tuple[str, Project]:
    if name and name not in projects:
        raise Refused(f"the configuration has no project {name!r}; it has: {', '.join(projects)}")
    if not name and len(projects) != 1:
        raise Refused(f"name the project, with --project: {', '.join(projects)}")
    found = name or next(iter(projects))
    return found, projects[found]


def choose(checks: tuple[Check, ...], wanted: Wanted) -> tuple[Check, ...]:
    """Those named; else all. Raises Refused for a name that none has."""
    there = {check.name: check for check in checks}
    if unknown := [name for name in (*wanted.checks, *wanted.leave) if name not in there]:
        raise Refused(f"there is no check {', '.join(unknown)}; `netci check --list` names those there are")
    chosen = tuple(there[name] for name in dict.fromkeys(wanted.checks)) or checks
    return tuple(check for check in chosen if check.name not in wanted.leave)


POSTING = ("series_format", "cc_maintainers", "signed")
"""Checks that judge how mails were sent. Of commits that are no mails yet there is nothing to judge."""
LONG = "minutes or more: --builds asks them, -c NAME one"
UNSENT = "the commits are no mails yet: give those that git format-patch wrote, with To and Cc"


def unless_named(todo: Plan, found: Given, wanted: Wanted) -> Plan:
    """Without what is asked only of somebody who names it, or says so: builds; and those of `POSTING` where the mails
    were made here.
    """
    left: dict[str, str] = {}
    if not wanted.builds:
        left = {ask.task.check: LONG for ask in todo.asks if ask.check.needs is Needs.BUILD}
    if not found.sent:
        left |= {ask.task.check: UNSENT for ask in todo.asks if ask.task.check in POSTING}
    left = {name: why for name, why in left.items() if name not in wanted.checks}
    batches = tuple(replace(one, asks=tuple(a for a in one.asks if a.task.check not in left)) for one in todo.batches)
    unasked = tuple((Task(name), why) for name, why in left.items())
    return replace(todo, batches=tuple(one for one in batches if one.asks), unasked=(*todo.unasked, *unasked))


def _subject(found: Given, ready: Configured, wanted: Wanted) -> Subject:
    series = found.letters
    cover = [series.cover] if series.cover else []
    tree = settled([*cover, *series.patches], wanted.kind, ready.trees)
    return subject_of(
        ready.project, series.patches, series.cover, base=found.base, commits=found.commits, tree=tree.tree,
        kind=tree.kind, marked=tree.marked, own=not found.sent,
        mark_expected=found.sent and bool(wanted.preset or wanted.config),
    )  # fmt: skip


def _sink(wanted: Wanted, subject: Subject, total: int, width: int) -> Screen | Lines | Document:
    out = sys.stdout
    if wanted.how == "json":
        return Document(out, subject)
    if wanted.how == "stream":
        return Lines(out, subject)
    live = out.isatty()
    colour = live and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    columns = shutil.get_terminal_size().columns
    return Screen(out, total, Look(colour, width, wanted.verbose), columns if live else 0)


def listing(wanted: Wanted) -> list[dict[str, Any]]:
    """Every check that could be asked: what it looks for, what it needs, and which tools for it are not here."""
    ready = configuration(wanted)
    return [
        {
            "check": check.name, "level": check.level.value, "needs": check.needs.name.lower(), "help": check.help,
            "tools": list(check.tools), "uses": list(check.uses),
            "missing": [t for t in (*check.tools, *check.uses) if not has_tool(t, ready.machine)],
            "wants": list(check.wants), "time_limit": check.time_limit.total_seconds(),
        }
        for check in ready.checks
    ]  # fmt: skip


def listed(found: list[dict[str, Any]]) -> list[str]:
    """The same for a person."""
    width = max((len(one["check"]) for one in found), default=0)
    return [
        f"{'CHECK':<{width}}  {'OF':<6}  {'NEEDS':<5}  WHAT IT LOOKS FOR",
        *(
            f"{one['check']:<{width}}  {one['level']:<6}  {one['needs']:<5}  {one['help']}"
            + (f"  (not here: {', '.join(missing)})" if (missing := one["missing"]) else "")
            for one in found
        ),
    ]


async def caged(wanted: Wanted) -> str:
    """By what checks would be isolated here, for lists."""
    with TemporaryDirectory(prefix="netci-") as folder:
        isolation = await isolated(configuration(wanted).machine, Path(folder))
        try:
            return f"\nisolation: {isolation.why if isinstance(isolation, NoCage) else isolation.name}"
        finally:
            isolation.close()
