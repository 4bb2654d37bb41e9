"""Test × branch: what each test that was not steady came to on the newest branches."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from itertools import pairwise
from typing import Any

from aiohttp import web

from services.report.web.front import Data, Front, Page, heavy
from services.report.web.history.asking import BRANCHES, NIPA_BRANCHES, Matrix, parse_matrix
from services.report.web.history.reading import columns, reading_of
from services.report.web.store import Row

MOST_TESTS = 150
_WORDS = ("pass", "flaky", "fail")
Key = tuple[str, str, int, int]


def matrix_page(branches: int) -> Page:
    """The page, with so many branches where it is not asked for."""

    async def matrix(front: Front, request: web.Request) -> Data:
        """`rows` are tests; the cells of each are in the order of `branches`, the newest first."""
        wanted = parse_matrix(request.query, branches)
        read, among = reading_of(front), wanted.among
        cuts = await read.rows("newest_cuts", wanted.branches, among.stream)
        ids = [cut["id"] for cut in cuts]
        bad = await read.rows(
            "bad_tests", ids, among.needle, among.remote, among.executor, *among.remotes(front.counting),
            wanted.steady, MOST_TESTS + 1,
        )  # fmt: skip
        keys = columns(bad[:MOST_TESTS], "remote", "executor", "grp_id", "test_id")
        since = min((cut["slot"] for cut in cuts), default=front.now)
        told = await read.rows("outcomes_of", since, ids, *keys) if cuts else []
        return {
            "filters": asdict(wanted),
            "branches": [{"name": cut["name"], "slot": cut["slot"], "stream": cut["stream"]} for cut in cuts],
            "rows": rows_of(bad[:MOST_TESTS], told, ids, wanted),
            "cut_off": len(bad) > MOST_TESTS,
            "query": wanted.query,
            "labs": await front.read.rows("labs"),
            "streams": front.streams,
        }

    # How many branches are meant is not in the query.
    matrix.__qualname__ = f"matrix of {branches}"
    return heavy(matrix)


def rows_of(tests: Iterable[Row], told: Iterable[Row], cuts: Sequence[int], wanted: Matrix) -> list[Row]:
    """One row a test that flipped often enough. Pure."""
    cells: dict[Key, dict[int, Row]] = {}
    for row in told:
        # Of several runs on one branch the newest, which comes last.
        cells.setdefault(key_of(row), {})[row["cut_id"]] = row
    rows = [_row(test, cells.get(key_of(test), {}), cuts) for test in tests]
    kept = [row for row in rows if row["flips"] >= wanted.flips]
    if wanted.by_streak:
        return sorted(kept, key=lambda row: -row["streak"])
    return sorted(kept, key=lambda row: (-row["flips"], -row["fails"], -row["flakes"]))


def key_of(row: Mapping[str, Any]) -> Key:
    return row["remote"], row["executor"], row["grp_id"], row["test_id"]


def _row(test: Row, cells: Mapping[int, Row], cuts: Sequence[int]) -> Row:
    words = [cells[cut]["outcome"] if cut in cells else "" for cut in cuts]
    judged = [word for word in words if word in _WORDS]
    return {
        "remote": test["remote"], "executor": test["executor"], "group": test["grp"], "test": test["test"],
        "flips": flips(judged), "streak": streak(judged), "fails": words.count("fail"),
        "flakes": words.count("flaky"),
        "cells": [
            {"outcome": word, "run": cells[cut]["run_id"] if word else None}
            for cut, word in zip(cuts, words, strict=True)
        ],
    }  # fmt: skip


def flips(judged: Sequence[str]) -> int:
    """How often it changed between failing and passing, given the newest first. A flake failed, and then passed."""
    tries = [word for one in judged for word in (("pass", "fail") if one == "flaky" else (one,))]
    return sum(one != other for one, other in pairwise(tries))


def streak(judged: Sequence[str]) -> int:
    """On how many of the newest branches in a row it passed."""
    return next((n for n, word in enumerate(judged) if word != "pass"), len(judged))


matrix = matrix_page(BRANCHES)
nipa_flakes = matrix_page(NIPA_BRANCHES)
