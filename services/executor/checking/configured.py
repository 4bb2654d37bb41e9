"""The checks of a project as its configuration has them: preset, choice, options, scripts."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from services.executor.checks import CHECKS, check_for, folder
from services.executor.checks.base import Check
from shared.errors import Refused
from shared.settings import Checking, Project, preset


def checks_of(project: Project, where: str) -> tuple[Check, ...]:
    """Ready to be asked; none where a project has no `checking`. `where` is the project's key, for faults.

    Raises Refused, naming the key, for an unknown check, a wrong option or a script that cannot be read.
    """
    return configured(project.checking, f"{where}.checking") if project.checking else ()


def configured(checking: Checking, where: str) -> tuple[Check, ...]:
    """The same of the table itself. A script of the name of one of our checks stands in its place."""
    ships = preset(f"checks-{checking.preset}") if checking.preset else {}
    scripts = _scripts(checking, where)
    _known(checking, scripts, where)
    names = checking.use or (*(ships.get("use") or CHECKS), *scripts)
    leave = {*checking.leave, *(() if checking.use else ships.get("leave", ()))}
    chosen = [name for name in dict.fromkeys(names) if name not in leave]
    return tuple(scripts[name] if name in scripts else _ours(name, checking, ships, where) for name in chosen)


def _ours(name: str, checking: Checking, ships: Mapping[str, Any], where: str) -> Check:
    """One of the rack. Options of the preset hold where the table says nothing else."""
    options = {**ships.get("check", {}).get(name, {}), **checking.check.get(name, {})}
    return check_for(name, options, f"{where}.check.{name}")


def _scripts(checking: Checking, where: str) -> dict[str, Check]:
    """Script checks by name: those of folders of folders, and those of tables that name a folder."""
    found: dict[str, Check] = {}
    for number, path in enumerate(checking.folders):
        with _named(f"{where}.folders.{number}"):
            found |= {check.name: check for check in folder.folders_in(path)}
    for name, options in checking.check.items():
        if "folder" in options:
            with _named(f"{where}.check.{name}"):
                found[name] = folder.folder_check(name, options)
    return found


@contextmanager
def _named(key: str) -> Iterator[None]:
    """Faults of a script's folder are told with the key that led there."""
    try:
        yield
    except Refused as exc:
        raise Refused(f"{key}: {exc}") from None


def _known(checking: Checking, scripts: Mapping[str, Check], where: str) -> None:
    """Every name that an operator wrote is that of a check."""
    known = {*CHECKS, *scripts}
    for key, names in (("use", checking.use), ("leave", checking.leave), ("check", tuple(checking.check))):
        if unknown := [name for name in names if name not in known]:
            there = ", ".join(sorted(known)) or "none"
            raise Refused(f"{where}.{key}: there is no check {', '.join(unknown)}; there are: {there}")
