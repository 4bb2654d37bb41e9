"""Branches: the list, one branch with what is on it and what was left out, and the list that NIPA's executors poll."""

from aiohttp import web

from services.report.hide import hide_addresses
from services.report.web.filters import before, number
from services.report.web.front import FRONT, Data, Front, as_json
from services.report.web.status import runs_of_cuts
from services.report.web.store import Row
from shared.errors import Missing

PAGE = 30
MOST_SERIES = 2000
NIPA_BRANCHES = 40


async def branches(front: Front, request: web.Request) -> Data:
    """Newest first; `next` is the key that the following page goes on below, None at the end."""
    project, stream = request.query.get("project") or None, request.query.get("stream") or None
    most = number(request.query, "limit", PAGE, 500)
    rows = await front.read.rows("branches", project, stream, before(request.query), most + 1)
    following = rows[most - 1]["id"] if len(rows) > most else None
    return {
        "branches": [_shown(row) for row in rows[:most]],
        "next": following,
        "project": project or "",
        "stream": stream or "",
    }


async def branch(front: Front, request: web.Request) -> Data:
    """One branch by its name. Raises Missing."""
    name = request.match_info["name"]
    if (cut := await front.read.one("branch", name)) is None:
        raise Missing(f"no branch {name[:200]}")
    chosen = await front.read.rows("selections", cut["id"], MOST_SERIES)
    around = (cut["project"], cut["stream"], cut["id"])
    return {
        "branch": _shown(cut),
        "taken": [row for row in chosen if row["decision"] == "take"],
        "left": [row for row in chosen if row["decision"] == "leave"],
        "runs": (await runs_of_cuts(front, [cut["id"]], front.now))[cut["id"]],
        "older": await front.read.value("branch_before", *around),
        "newer": await front.read.value("branch_after", *around),
    }


def _shown(cut: Row) -> Row:
    """A cut without the addresses in what git complained of."""
    return cut | {"error": hide_addresses(cut["error"])}


async def nipa_branches(request: web.Request) -> web.Response:
    """``branches.json`` as NIPA's executors read it: oldest first, `url` is the repository, a blank and the branch.

    By the date when each could be fetched: they take the newest after the last they saw, and never go back.
    """
    rows = await request.app[FRONT].read.rows("nipa_branches", NIPA_BRANCHES)
    return as_json(
        [
            {
                "branch": row["name"],
                "date": row["date"].isoformat(),
                "base": row["base"],
                "url": f"{row['public_url']} {row['name']}",
            }
            for row in sorted(rows, key=lambda row: row["date"])
        ]
    )
