"""How the checks of patches come out: by day, by check, by author, and which words come most often.

Of each patch and context what stands last on Patchwork, or would stand there, counts; with `accepted` of patches that
were accepted in the end, which says how often a check was in the way of a good one.
"""

from collections import defaultdict
from collections.abc import Iterable
from datetime import date, timedelta

from aiohttp import web

from services.report.web.filters import flag
from services.report.web.front import Data, Front, heavy
from services.report.web.history.rates import rate
from services.report.web.store import Row

KEPT = timedelta(days=60)
LATELY = timedelta(days=14)
MOST = 50_000
AUTHORS, OUTPUTS = 15, 20
STATES = ("success", "warning", "fail")


@heavy
async def checks(front: Front, request: web.Request) -> Data:
    """The statistics of the last sixty days."""
    accepted = flag(request.query, "accepted", False)
    which = (front.now - KEPT, MOST, accepted)
    return {
        "accepted": accepted,
        "days": KEPT.days,
        "lately": LATELY.days,
        "contexts": by_context(await front.read.rows("check_contexts", *which, front.now - LATELY)),
        "by_day": by_day(await front.read.rows("check_days", *which)),
        "authors": await front.read.rows("check_authors", *which, AUTHORS),
        "outputs": await front.read.rows("check_outputs", *which, OUTPUTS),
    }


def by_context(rows: Iterable[Row]) -> list[Row]:
    """One row a context, the one that fails most first. Pure."""
    found = []
    for row in rows:
        bad, lately = rate(row["fail"], row["all"]), rate(row["fail_lately"], row["all_lately"])
        found.append(row | {"rate": str(bad), "share": bad.share, "rate_lately": str(lately)})
    return sorted(found, key=lambda row: (-row["share"], row["context"]))


def by_day(rows: Iterable[Row]) -> list[Row]:
    """One row a day, the oldest first: how many patches were told success, warning or fail at worst. Pure."""
    found: dict[date, Row] = defaultdict(lambda: dict.fromkeys(STATES, 0))
    for row in rows:
        found[row["day"]][row["worst"]] = row["patches"]
    return [{"day": day} | found[day] for day in sorted(found)]
