"""What differs between two branches, or between two labs on one branch: trees, series, and what tests came to."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from aiohttp import web

from services.report.web.changes import base_changes, series_changes
from services.report.web.front import Data, Front, heavy
from services.report.web.history.reading import Lab, reading_of
from services.report.web.store import Row
from shared.errors import Missing, Refused

MOST = 1000
NAME = 300


@heavy
async def compare(front: Front, request: web.Request) -> Data:
    """Branch `before` against branch `after`; or on the branch `after` the lab `lab` against the lab `with`, each as
    remote/executor. Raises Refused and Missing.
    """
    after, before, lab, other = (
        request.query.get(key, "").strip()[:NAME] for key in ("after", "before", "lab", "with")
    )
    if not after:
        raise Refused("after: which branch? As compare?before=BRANCH&after=BRANCH, or …?after=BRANCH&lab=X/A&with=Y/B")
    read = reading_of(front)
    cut = await _cut(front, after)
    labs = [f"{row['remote']}/{row['executor']}" for row in await read.rows("labs_of_cut", cut["id"])]
    if lab or other:
        lab, other = lab or _another(labs, other), other or _another(labs, lab)
    found: dict[str, Any] = {
        "after": cut["name"], "before": "", "lab": lab, "other": other, "trees": [], "series": None, "rows": [],
        "labs": labs,
        "older": await front.read.value("branch_before", cut["project"], cut["stream"], cut["id"]),
    }  # fmt: skip
    if lab or other:
        rows = await read.rows("lab_differences", cut["id"], *_lab("lab", lab), *_lab("with", other), MOST + 1)
        found |= {"rows": [row | {"lab": ""} for row in rows[:MOST]]}
    else:
        rows, more = await _branches(front, cut, before or found["older"] or "")
        found |= more
    return found | {
        "rows": [row | {"change": change(row["before"], row["after"])} for row in found["rows"]],
        "cut_off": len(rows) > MOST,
        "sentence": sentence(found["rows"]),
    }


async def _branches(front: Front, cut: Row, before: str) -> tuple[list[Row], Row]:
    if not before:
        raise Refused(f"before: {cut['name']} is the first of its stream; name a branch to compare it with")
    other = await _cut(front, before)
    rows = await reading_of(front).rows("differences", other["id"], cut["id"], MOST + 1)
    on_them = await front.read.rows("series_on", [other["id"], cut["id"]])
    return rows, {
        "before": other["name"],
        "trees": base_changes(cut, other),
        "series": series_changes(on_them, cut["id"], other["id"]),
        "rows": [row | {"lab": f"{row['remote']}/{row['executor']}"} for row in rows[:MOST]],
    }


async def _cut(front: Front, name: str) -> Row:
    if (cut := await front.read.one("cut_named", name)) is None:
        raise Missing(f"no branch {name}")
    return cut


def _another(labs: Sequence[str], than: str) -> str:
    """The lab that one is compared with where none is named. Raises Missing."""
    if (found := next((lab for lab in labs if lab != than), None)) is None:
        raise Missing(f"no lab but {than} has run that branch")
    return found


def _lab(key: str, text: str) -> Lab:
    remote, slash, executor = text.partition("/")
    if not (remote and slash and executor):
        raise Refused(f"{key}: a lab is named remote/executor, not {text!r}")
    return remote, executor


def change(before: str | None, after: str | None) -> str:
    """What became of a test: broke, mended, came, went, flakes, steady, or other. Pure."""
    if before is None or after is None:
        return "came" if before is None else "went"
    if "fail" in (before, after):
        return "broke" if after == "fail" else "mended"
    if "flaky" in (before, after):
        return "flakes" if after == "flaky" else "steady"
    return "other"


def sentence(rows: Sequence[Mapping[str, Any]]) -> str:
    """How many tests differ and how. Pure."""
    counts = Counter(change(row["before"], row["after"]) for row in rows)
    words = {
        "broke": "{} began to fail", "mended": "{} no longer fail", "flakes": "{} flaked", "steady": "{} flake no more",
        "came": "{} were not run before", "went": "{} are not run any more", "other": "{} differ otherwise",
    }  # fmt: skip
    told = [text.format(counts[kind]) for kind, text in words.items() if counts[kind]]
    return f"Of the tests, {', '.join(told)}." if told else "Every test came to the same."
