"""Whether what failed on the branches of a series is likely its work: the facts, for `blame` to judge."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence

from services.report.web.front import Front
from services.report.web.history.blame import ORDER, Judged, as_seen, judge_blame, summary
from services.report.web.history.matrix import Key, key_of
from services.report.web.history.reading import columns, reading_of
from services.report.web.store import Row

MOST_FAILURES = 100
BRANCHES = 40
"""Of each test the newest branches that are looked at."""


async def blame_of(front: Front, series: int, versions: Collection[int]) -> Row | None:
    """What failed on the newest judged branch of each stream that the series was on, the likeliest first; None if it
    was on none. `versions` are the numbers of the series and its earlier versions: branches with one of these are not
    branches without it.
    """
    read = reading_of(front)
    cuts = await read.rows("judged_cut", series)
    if not cuts:
        return None
    found = [await _of_cut(front, cut, versions) for cut in cuts]
    failures = [one for rows, _ in found for one in rows]
    judged = [one for _, judged in found for one in judged]
    return {
        "sentence": summary(judged),
        "branches": [{name: cut[name] for name in ("branch", "stream", "state")} for cut in cuts],
        "failures": sorted(failures, key=lambda one: ORDER.index(one["blame"])),
        "cut_off": any(len(rows) == MOST_FAILURES for rows, _ in found),
    }


async def _of_cut(front: Front, cut: Row, versions: Collection[int]) -> tuple[list[Row], list[Judged]]:
    read = reading_of(front)
    failing = await read.rows("failing_on", cut["cut_id"], MOST_FAILURES)
    if not failing:
        return [], []
    keys = columns(failing, "remote", "executor", "grp_id", "test_id")
    beside = await read.rows("beside", cut["stream"], sorted(versions), *keys, BRANCHES)
    on_it = await read.one("came_with", cut["cut_id"]) or {"came": 0}
    return judge_failures(failing, beside, max(0, on_it["came"] - 1), cut["branch"], front.counting)


def judge_failures(
    failing: Sequence[Row], beside: Iterable[Row], came: int, branch: str, counted: Collection[str]
) -> tuple[list[Row], list[Judged]]:
    """Each failure with its blame; only those of remotes that count are summed up. Pure."""
    history = _by_test(beside)
    rows, judged = [], []
    for one in failing:
        found = judge_blame(as_seen(history.get(key_of(one), ())), came)
        rows.append({
            "remote": one["remote"], "executor": one["executor"], "stream": one["stream"], "group": one["grp"],
            "test": one["test"], "run": one["run_id"], "crashes": one["crashes"], "branch": branch,
            "blame": found.blame, "text": found.text, "counts": one["remote"] in counted,
        })  # fmt: skip
        if one["remote"] in counted:
            judged.append(found)
    return rows, judged


def _by_test(rows: Iterable[Row]) -> Mapping[Key, list[Row]]:
    found: dict[Key, list[Row]] = defaultdict(list)
    for row in rows:
        found[key_of(row)].append(row)
    return found
