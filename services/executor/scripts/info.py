"""The `info.json` of a script check, and which folders have one."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from services.executor.checks.base import Level
from shared.errors import Refused
from shared.settings import Duration

NAME = "info.json"
_BYTES = 64 << 10
_NAMED = ("series", "patch")


class Info(BaseModel):
    """What NIPA knows: `run`, a program and its arguments, or `pymod` and `pyfunc`; `pull-requests`; `disabled`;
    `source`, which means nothing to us. What we know besides: `time_limit`; `wants`, globs of paths; `needs`, programs;
    `level`, where the folder's place does not tell; `help`. Other keys are left alone.
    """

    model_config = ConfigDict(extra="ignore", frozen=True, populate_by_name=True)

    run: tuple[str, ...] = ()
    pymod: str = Field(default="", pattern=r"^(?:[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)?$")
    pyfunc: str = Field(default="", pattern=r"^(?:[A-Za-z_]\w*)?$")
    pull_requests: bool = Field(default=False, alias="pull-requests")
    disabled: bool = False
    time_limit: Duration | None = None
    wants: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    level: Level | None = None
    help: str = ""

    @model_validator(mode="after")
    def _one_of_both(self) -> "Info":
        if bool(self.run) == bool(self.pymod) or bool(self.pymod) != bool(self.pyfunc):
            raise ValueError("either `run`, or `pymod` and `pyfunc`")
        if self.run and not self.run[0]:
            raise ValueError("`run` begins with a program")
        return self


def read_info(folder: Path, over: dict[str, Any] | None = None) -> Info:
    """Of that folder, with `over` in place of what it says. Raises Refused, naming the file."""
    path = folder / NAME
    try:
        with path.open("rb") as file:
            facts = json.loads(file.read(_BYTES))
        if not isinstance(facts, dict):
            raise ValueError("not an object")
        return Info.model_validate({**facts, **(over or {})})
    except OSError as exc:
        raise Refused(f"{path}: {exc.strerror}") from None
    except ValidationError as exc:
        raise Refused("; ".join(f"{path}: {'.'.join(map(str, e['loc']))}: {e['msg']}" for e in exc.errors())) from None
    except ValueError as exc:
        raise Refused(f"{path}: {exc}") from None


def folders(root: Path) -> Iterator[tuple[Path, Level | None]]:
    """Folders of checks below `root`, in the order of their names: ``series/NAME`` and ``patch/NAME``, or just NAME.

    Raises Refused if there is no such folder, or none with a check.
    """
    found = list(_folders(root)) if root.is_dir() else []
    if not found:
        raise Refused(f"{root} has no folder with an {NAME}")
    yield from found


def _folders(root: Path) -> Iterator[tuple[Path, Level | None]]:
    for level in _NAMED:
        yield from ((one, Level(level)) for one in _with_info(root / level))
    yield from ((one, None) for one in _with_info(root) if one.name not in _NAMED)


def _with_info(folder: Path) -> list[Path]:
    return sorted(one for one in folder.iterdir() if (one / NAME).is_file()) if folder.is_dir() else []
