"""What NIPA's readers may ask for in a query string, as leniently as NIPA reads it. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

BRANCHES = 10
MOST_BRANCHES = 1000
MOST_RUNS = 10_000
NAME = 512
RUNS_OF_ONE = 100
"""Rows of one branch asked for by name."""

_NAME = re.compile(r"[\w -]+")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which runs, and how. `shape` is "" where NIPA answers an empty list."""

    name: str = ""
    branches: int = BRANCHES
    prefix: str = ""
    remote: str = ""
    shape: str = "normal"
    pending: bool = False

    @property
    def most(self) -> int:
        return RUNS_OF_ONE if self.name else MOST_RUNS


def read_results(query: Mapping[str, str]) -> Wanted | None:
    """What of ``/query/results``; None for a branch's name that is none, which is answered with an empty object."""
    name, remote, form = (query.get(key, "") for key in ("branch-name", "remote", "format"))
    if name and not _NAME.fullmatch(name):
        return None
    form = form or "normal"
    return Wanted(
        name, at_least_one(query.get("branches", ""), BRANCHES, MOST_BRANCHES), query.get("br-pfx", "")[:NAME],
        remote if _NAME.fullmatch(remote) else "", form if form in ("normal", "l2") else "",
        form == "normal" and yes(query.get("pending", "")) is True,
    )  # fmt: skip


def at_least_one(text: str, default: int, most: int) -> int:
    """A count; anything that is none is `default`."""
    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text)):
        return default
    return min(int(text), most)


def yes(text: str) -> bool | None:
    """What a switch says, None if nothing."""
    return {"1": True, "y": True, "t": True, "0": False, "n": False, "f": False}.get(text[:1].lower())
