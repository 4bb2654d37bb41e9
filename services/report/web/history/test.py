"""The history of one test: how it stands in each lab, since when and since which branch, and how long it took."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import date, datetime
from typing import Any

from aiohttp import web

from services.report.web.front import Data, Front, heavy
from services.report.web.history.asking import History, parse_history
from services.report.web.history.rates import rate
from services.report.web.history.reading import Lab, mondays, name_ids, reading_of
from services.report.web.store import Row
from services.report.web.words import span
from shared.errors import Missing

WEEKS = 8
MOST_LABS = 60
RUNS = 400
"""Shown of all labs together where it is not asked for, and `FEWEST` of each."""
FEWEST = 15
LOOK_BACK, GLANCE_BACK = 2000, 60
"""Outcomes of a test in one lab and stream among which the turn is looked for: where it fails, and where it passes."""


@heavy
async def test_history(front: Front, request: web.Request) -> Data:
    """`labs` are those that run it, each with its outcomes, the newest first. Raises Missing for an unknown test."""
    wanted, read = parse_history(request.query), reading_of(front)
    group, test = await name_ids(front, wanted.group, wanted.test)
    if group is None or test is None:
        raise Missing(_unknown(wanted))
    labs = [
        (row["remote"], row["executor"])
        for row in await read.rows("labs_of_test", group, test, wanted.remote, wanted.executor, MOST_LABS)
    ]
    if not labs:
        raise Missing(_unknown(wanted))
    names = [list(column) for column in zip(*labs, strict=True)]
    most = wanted.runs or max(FEWEST, RUNS // len(labs))
    told = await read.rows("history", group, test, *names, wanted.stream, most)
    weeks = mondays(front.now, WEEKS)
    counts = await read.rows("weeks_of_test", weeks, group, test, *names, wanted.stream)
    turns = await _turns(front, group, test, standing(told))
    found = labs_of(labs, told, counts, turns, front.now)
    return {
        "filters": asdict(wanted),
        "weeks": weeks,
        "labs": found,
        "failing": sum(one["failing"] for one in found),
        "streams": sorted({row["stream"] for row in told}),
        "sentence": overall(found),
    }


async def _turns(
    front: Front, group: int, test: int, stands: Sequence[tuple[Lab, str, Row]]
) -> Mapping[tuple[Lab, str], Row]:
    """Since when each lab has had the outcome that it has, by lab and stream."""
    rows: list[Row] = []
    for good, most in ((False, LOOK_BACK), (True, GLANCE_BACK)):
        some = [(*lab, stream) for lab, stream, newest in stands if (newest["outcome"] != "fail") is good]
        if some:
            keys = [list(column) for column in zip(*some, strict=True)]
            rows += await reading_of(front).rows("turns", group, test, *keys, good, most)
    return {((row["remote"], row["executor"]), row["stream"]): row for row in rows}


def _unknown(wanted: History) -> str:
    where = "/".join(filter(None, (wanted.remote, wanted.executor)))
    name = "/".join(filter(None, (wanted.group, wanted.test)))[:300]
    return f"no branch has a result of {name}{f' of {where[:200]}' if where else ''}"


def standing(told: Iterable[Row]) -> list[tuple[Lab, str, Row]]:
    """Of each lab and stream the newest outcome that says anything, given the newest first. Pure."""
    first: dict[tuple[Lab, str], Row] = {}
    for row in told:
        if row["outcome"] in ("pass", "flaky", "fail"):
            first.setdefault(((row["remote"], row["executor"]), row["stream"]), row)
    return [(lab, stream, row) for (lab, stream), row in first.items()]


def labs_of(
    labs: Sequence[Lab], told: Iterable[Row], counts: Iterable[Row], turns: Mapping[tuple[Lab, str], Row],
    now: datetime,
) -> list[Row]:  # fmt: skip
    """One entry a lab, failing ones first. Pure."""
    mine: dict[Lab, list[Row]] = defaultdict(list)
    for row in told:
        mine[row["remote"], row["executor"]].append(row)
    weekly: dict[Lab, dict[date, Row]] = defaultdict(dict)
    for row in counts:
        weekly[row["remote"], row["executor"]][row["week"]] = row
    found = [_lab(lab, mine[lab], weekly[lab], turns, now) for lab in labs if mine[lab]]
    return sorted(found, key=lambda one: (not one["failing"], one["remote"], one["executor"]))


def _lab(
    lab: Lab, told: Sequence[Row], weekly: Mapping[date, Row], turns: Mapping[tuple[Lab, str], Row],
    now: datetime,
) -> Row:  # fmt: skip
    stands = [
        {"stream": stream, "failing": turned["failing"], "text": turned["text"]}
        for (whose, stream), turn in turns.items()
        if whose == lab
        for turned in [_stand(turn, told, stream, now)]
    ]
    runs, bad = (sum(week[name] for week in weekly.values()) for name in ("runs", "flakes"))
    failed = sum(week["fails"] for week in weekly.values())
    return {
        "remote": lab[0], "executor": lab[1], "failing": any(one["failing"] for one in stands), "stands": stands,
        "outcomes": [
            {name: row[name] for name in ("run_id", "branch", "stream", "at", "outcome", "seconds", "crashes")}
            for row in told
        ],
        "weeks": {str(week): {n: row[n] for n in ("runs", "fails", "flakes")} for week, row in weekly.items()},
        "flake_rate": str(rate(bad, runs)), "fail_rate": str(rate(failed, runs)),
    }  # fmt: skip


def _stand(turn: Row, told: Sequence[Row], stream: str, now: datetime) -> Row:
    newest = next(row for row in told if row["stream"] == stream and row["outcome"] in ("pass", "flaky", "fail"))
    failing = newest["outcome"] == "fail"
    return {"failing": failing, "text": turned(turn, failing, now)}


def turned(turn: Mapping[str, Any], failing: bool, now: datetime) -> str:
    """How a test stands and since when, in words. Pure."""
    runs = f"{turn['runs']} run" + ("s" if turn["runs"] != 1 else "")
    ago = span((now - turn["at"]).total_seconds())
    if turn["other_branch"] is None:
        return f"{'fails' if failing else 'passes'} on all of the {runs} looked at, back to {turn['branch']}"
    if failing:
        return f"fails since {turn['branch']} ({runs}, {ago} ago); it passed last on {turn['other_branch']}"
    return f"passes since {turn['branch']} ({runs}, {ago} ago); it failed last on {turn['other_branch']}"


def overall(labs: Sequence[Row]) -> str:
    """One sentence on all labs. Pure."""
    bad = [one for one in labs if one["failing"]]
    of = f"{len(labs)} lab" + ("s" if len(labs) != 1 else "")
    if not bad:
        return f"It passes in the newest run of {'its one lab' if len(labs) == 1 else f'each of its {of}'}."
    names = ", ".join(f"{one['remote']}/{one['executor']}" for one in bad[:4])
    more = f" and {len(bad) - 4} more" if len(bad) > 4 else ""
    where = names if len(labs) == 1 else f"{len(bad)} of {of}: {names}"
    return f"It fails now in {where}{more}."
