"""Which tests failed or flaked on which branches: the matrix of ``flakes.html``. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.report.web.filters import number
from services.report.web.nipa.asking import NAME

MOST_BRANCHES = 400
MOST_ROWS = 300


@dataclass(frozen=True, slots=True)
class Flakes:
    """The filters of the matrix, under NIPA's names."""

    branches: int = 100
    prefix: str = ""
    remote: str = ""
    needle: str = ""
    flips: int = 1


def parse_flakes(query: Mapping[str, str]) -> Flakes:
    """Raises Refused. A flip of 0 shows what NIPA shows for it: all that ever was not a pass."""
    return Flakes(
        number(query, "br-cnt", 100, MOST_BRANCHES), query.get("br-pfx", "")[:NAME],
        query.get("ld-remote", "")[:NAME], query.get("tn-needle", "").strip()[:NAME],
        1 if query.get("min-flip", "1") in ("", "0") else number(query, "min-flip", 1, MOST_BRANCHES),
    )  # fmt: skip


def matrix(runs: Iterable[Mapping[str, Any]], branches: Sequence[str], wanted: Flakes) -> list[dict[str, Any]]:
    """One row a test, the worst first; `cells` has fail, flake or "" for each of `branches`."""
    found: dict[tuple[str, ...], dict[str, str]] = defaultdict(dict)
    for run in runs:
        for word, names in (("flake", run["flakes"]), ("fail", run["failing"])):
            for name in names:
                key = (run["remote"], run["executor"], name["group"], name["test"])
                if wanted.needle in "/".join(key):
                    found[key][run["name"]] = word
    rows = [_row(key, cells, branches) for key, cells in found.items() if len(cells) >= wanted.flips]
    return sorted(rows, key=lambda row: (-row["bad"], row["key"]))[:MOST_ROWS]


def _row(key: tuple[str, ...], cells: Mapping[str, str], branches: Sequence[str]) -> dict[str, Any]:
    remote, executor, group, test = key
    words = list(cells.values())
    return {
        "key": key, "remote": remote, "executor": executor, "group": group, "test": test, "bad": len(cells),
        "flakes": words.count("flake"), "fails": words.count("fail"),
        "cells": [cells.get(name, "") for name in branches],
    }  # fmt: skip
