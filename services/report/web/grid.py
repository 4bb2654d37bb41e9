"""Checks of a series as a grid: what was said of each patch, and what is still to come. Pure.

A row is a check, a column a patch; 0 is the series as a whole. A person's word goes before what was said, and what was
said before what a check of ours is doing: one that is asked again keeps its answer until it has another.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from shared.model.ids import OWN_REMOTE

Row = dict[str, Any]

SETTLED = ("success", "warning", "fail")
COMING = ("planned", "running")
SILENT = ("unasked", "cancelled")
_ORDER = {"mail": 0, "tree": 1, "build": 2}
_WORST = ("fail", "infra", "warning", "pending")


def grid(
    patches: Mapping[int, str],
    tasks: Iterable[Row],
    said: Iterable[Row],
    by_hand: Iterable[Row] = (),
    listed: Collection[str] = (),
) -> Row:
    """`patches` are titles by number, `tasks` rows of executor.checks_v, `said` rows of the ledger, `by_hand` verdicts
    of persons; `listed` are the contexts in which labs are posted.
    """
    cells: dict[tuple[str, int], Row] = {}
    for row in tasks:
        cells[row["check_name"], row["patch"]] = of_task(row)
    for row in said:
        key = row["context"], row["patch"]
        cells[key] = of_said(row, cells.get(key))
    for row in by_hand:
        if (row["context"], row["patch"]) in cells:
            cells[row["context"], row["patch"]] |= {"state": row["state"], "text": row["text"], "by_hand": True}
    columns = [*([0] if any(patch == 0 for _, patch in cells) else []), *patches]
    rows = [_row(context, cells, columns, listed) for context in dict.fromkeys(context for context, _ in cells)]
    told = sorted((one for one in cells.values() if one["state"] in _WORST), key=_weight)
    return {
        "columns": columns,
        "titles": dict(patches),
        "rows": sorted(rows, key=lambda row: (_ORDER.get(row["lane"], 3 + (not row["ours"])), row["context"])),
        "told": told,
        "counts": counts_of(cells.values()),
        "open": any(one["state"] in COMING or one["again"] for one in cells.values()),
    }


def of_task(row: Mapping[str, Any]) -> Row:
    """What a check of ours is doing."""
    state = "pending" if row["state"] == "answered" else row["state"]
    text = row["why"] or row["described"]
    return {
        "context": row["check_name"], "patch": row["patch"], "state": state, "text": text, "lane": row["lane"],
        "ours": True, "again": False, "by_hand": False, "by": "", "run": row["run_id"], "link": "",
        "seconds": row["seconds"], "started": row["started"], "at": row["ended"],
    }  # fmt: skip


def of_said(row: Mapping[str, Any], task: Row | None = None) -> Row:
    """What was said; `task` is what a check of ours is doing in the same place."""
    ours = row["remote"] == OWN_REMOTE
    return {
        "context": row["context"], "patch": row["patch"], "state": row["state"], "text": row["text"],
        "lane": task["lane"] if task else "", "ours": ours, "again": task is not None and task["state"] in COMING,
        "by_hand": False, "by": "" if ours else f"{row['remote']}/{row['executor']}", "run": row["run_id"],
        "link": row["link"], "seconds": task["seconds"] if task else None,
        "started": task["started"] if task else None, "at": row["at"],
    }  # fmt: skip


def _row(context: str, cells: Mapping[tuple[str, int], Row], columns: Sequence[int], listed: Collection[str]) -> Row:
    mine = [cells.get((context, patch)) for patch in columns]
    there = [one for one in mine if one is not None]
    ours = any(one["ours"] for one in there)
    lane = next((one["lane"] for one in there if one["lane"]), "")
    return {"context": context, "ours": ours, "posted": ours or context in listed, "lane": lane, "cells": mine}


def counts_of(cells: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """How many of each state, the worst first, and `all` but those that are not asked."""
    found = Counter(one["state"] for one in cells)
    order = ("fail", "infra", "warning", "pending", "success", "running", "planned", *SILENT)
    counts = {state: found[state] for state in order if found[state]}
    return counts | {"all": sum(n for state, n in found.items() if state not in SILENT)}


def _weight(cell: Mapping[str, Any]) -> tuple[int, int, str]:
    return _WORST.index(cell["state"]), cell["patch"], cell["context"]
