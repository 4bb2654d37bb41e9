"""Series: the list, and one series with its whole way: triage, tree, branches, verdicts, what was posted."""

import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from aiohttp import web

from services.report.hide import hide_addresses
from services.report.web.filters import before, number
from services.report.web.front import Data, Front
from services.report.web.store import Row
from shared.errors import Missing

PAGE = 100


async def series_list(front: Front, request: web.Request) -> Data:
    """Newest first; `next` is the key that the following page goes on below, None at the end."""
    project, state = request.query.get("project") or None, request.query.get("state") or None
    most = number(request.query, "limit", PAGE, 500)
    rows = await front.read.rows("series_list", project, state, before(request.query), most + 1)
    following = rows[most - 1]["id"] if len(rows) > most else None
    return {
        "series": rows[:most],
        "next": following,
        "project": project or "",
        "state": state or "",
        "projects": sorted(front.floor.settings.projects),
    }


async def series(front: Front, request: web.Request) -> Data:
    """One series by our number, or by the message id of any of its mails. Raises Missing."""
    read = front.read
    number = await find(front, request.match_info["key"])
    if (row := await read.one("series", number)) is None:
        raise Missing(f"no series {number}")
    applied = await read.rows("applied", number)
    verdicts = await read.rows("verdicts", number)
    messages = [m for m in (row["message_id"], row["cover_message_id"]) if m]
    return {
        "series": row,
        "patches": await read.rows("patches", number),
        "versions": await read.rows("versions", row["project"], number),
        "applied": [one | {"fetch": fetch_command(one)} for one in applied],
        "verdicts": verdicts,
        "branches": await read.rows("series_branches", number, 50),
        "runs": await read.rows("series_runs", number),
        "checks": [_check(front, row["project"], one) for one in await read.rows("series_checks", number, 500)],
        "posts": [_post(one) for one in await read.rows("posts", number, 200)],
        "orders": await read.rows("orders", row["project"], messages),
        "sentence": sentence(row, applied, verdicts),
    }


def _check(front: Front, project: str, row: Row) -> Row:
    """What a lab said, and whether it is posted."""
    listed = front.floor.settings.projects.get(project)
    return row | {"posted": listed is not None and row["context"] in listed.checks}


def _post(row: Row) -> Row:
    return row | {"agrees": agrees(row), "answer": hide_addresses(row["answer"])}


async def find(front: Front, text: str) -> int:
    """The number of the series that `text` names. Raises Missing."""
    if text.isascii() and text.isdigit():
        if len(text) > 18:
            raise Missing("there are not so many series")
        return int(text)
    bare = text.strip().removeprefix("<").removesuffix(">")
    names = [bare, f"<{bare}>"]
    found = await front.read.value("series_of_message", names) or await front.read.value("series_of_patch", names)
    if found is None:
        raise Missing(f"no series with a mail {bare[:200]}")
    return int(found)


def fetch_command(applied: Mapping[str, Any]) -> str:
    """The command that fetches what was tested; "" where nothing is published."""
    if not applied["ref"] or not applied["public_url"] or applied["pruned"]:
        return ""
    return f"git fetch {shlex.quote(applied['public_url'])} {shlex.quote(applied['ref'])} && git checkout FETCH_HEAD"


_SAID = re.compile(r"(?:^|; )[^:;]*: (success|pending|warning|fail)\b")


def agrees(post: Mapping[str, Any]) -> bool | None:
    """Whether a check in shadow says what others have put on Patchwork (``user: state text; …``).

    None where it was sent, or where there is nothing to compare with.
    """
    said = _SAID.findall(str(post["found"]))
    return post["state"] in said if post["mode"] == "shadow" and said else None


_RANK = {"success": 0, "pending": 1, "warning": 2, "fail": 3}


def sentence(series: Mapping[str, Any], applied: Sequence[Row], verdicts: Sequence[Row]) -> str:
    """Where the series stands, in one sentence that names its own reason."""
    if series["state"] != "active":
        return f"The series is {series['state']}{': ' + series['reason'] if series['reason'] else ''}."
    newest = applied[0] if applied else None
    if newest is None or newest["revision"] < series["revision"]:
        return "It has arrived, and waits to be applied to a tree."
    if newest["outcome"] == "refused":
        patch = f" at patch {newest['patch_number']}" if newest["patch_number"] else ""
        return f"It is not applied{patch}: {newest['reason']}."
    told = [v for v in verdicts if v["context"] not in ("apply", "tree_selection")]
    if not told:
        return f"It applies to {newest['tree']}, and waits for a branch and its results."
    worst = max(told, key=lambda v: _RANK.get(v["state"], 0))
    settled = "" if worst["settled"] else ", which the next branch may change"
    return f"It applies to {newest['tree']}; {worst['context']} is {worst['state']}{settled}: {worst['text']}."
