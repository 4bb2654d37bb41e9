"""Series: the list, and one series with its whole way: triage, tree, branches, verdicts, what was posted."""

import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from aiohttp import web

from services.report.hide import hide_addresses
from services.report.web.filters import before, number
from services.report.web.front import Data, Front
from services.report.web.grid import grid
from services.report.web.history.blaming import blame_of
from services.report.web.store import Row
from shared.errors import Missing
from shared.model.ids import OWN_REMOTE
from shared.settings import OWN_CONTEXTS, Settings

PAGE = 100
MOST_CHECKS = 10_000
"""Checks of one series, those of every patch and revision."""
MOST_POSTS = 1000
MOST_SHOWN = 10
"""Contexts of a series in the list of series."""


async def series_list(front: Front, request: web.Request) -> Data:
    """Newest first; `next` is the key that the following page goes on below, None at the end."""
    project, state = request.query.get("project") or None, request.query.get("state") or None
    most = number(request.query, "limit", PAGE, 500)
    rows = await front.read.rows("series_list", project, state, before(request.query), most + 1)
    following = rows[most - 1]["id"] if len(rows) > most else None
    return {
        "series": [_listed(front.floor.settings, row) for row in rows[:most]],
        "next": following,
        "project": project or "",
        "state": state or "",
        "projects": sorted(front.floor.settings.projects),
    }


def _listed(settings: Settings, row: Row) -> Row:
    """A series of the list: of what single checks said only what is no success is shown one by one."""
    project = settings.projects.get(row["project"])
    whole = OWN_CONTEXTS | {stream.context for stream in project.streams.values()} if project else OWN_CONTEXTS
    shown = [v for v in row["verdicts"] if v["state"] != "success" or v["context"] in whole]
    return row | {
        "shown": shown[:MOST_SHOWN],
        "more": len(shown[MOST_SHOWN:]),
        "fine": len(row["verdicts"]) - len(shown),
    }


async def series(front: Front, request: web.Request) -> Data:
    """One series by our number, or by the message id of any of its mails. Raises Missing."""
    read = front.read
    number = await find(front, request.match_info["key"])
    if (row := await read.one("series", number)) is None:
        raise Missing(f"no series {number}")
    applied = await read.rows("applied", number)
    verdicts = await read.rows("verdicts", number)
    checks = await read.rows("series_checks", number, MOST_CHECKS)
    patches = await read.rows("patches", number)
    messages = [m for m in (row["message_id"], row["cover_message_id"]) if m]
    versions = await read.rows("versions", row["project"], number)
    return {
        "series": row,
        "patches": patches,
        "versions": versions,
        "blame": await blame_of(front, number, {number, *(v["id"] for v in versions)}),
        "applied": [one | {"fetch": fetch_command(one)} for one in applied],
        "verdicts": verdicts,
        "branches": await read.rows("series_branches", number, 50),
        "runs": await read.rows("series_runs", number),
        "checks": [_check(front, row["project"], one) for one in checks],
        "grid": await _grid(front, row, patches, checks, verdicts),
        "queue": [one | {"why": hide_addresses(one["why"])} for one in await read.rows("series_queue", number)],
        "posts": [_post(one) for one in await read.rows("posts", number, MOST_POSTS)],
        "orders": await read.rows("orders", row["project"], messages),
        "sentence": sentence(row, applied, verdicts),
        "public_url": front.floor.settings.public_url,
        "recheck": may_recheck(front, row),
    }


def may_recheck(front: Front, series: Row) -> bool:
    """Whether an operator may ask for the checks of a series once more."""
    project = front.floor.settings.projects.get(series["project"])
    return project is not None and project.checking is not None and series["state"] == "active"


async def _grid(
    front: Front, series: Row, patches: Sequence[Row], checks: Sequence[Row], verdicts: Sequence[Row]
) -> Row:
    """The checks of the present revision, patch by patch."""
    now = series["revision"]
    tasks = await front.read.rows("check_tasks", series["id"], now, MOST_CHECKS)
    tasks = [one | {name: hide_addresses(one[name]) for name in ("why", "described")} for one in tasks]
    project = front.floor.settings.projects.get(series["project"])
    return grid(
        {one["number"]: one["title"] for one in patches if one["number"]},
        tasks,
        [one for one in checks if one["revision"] == now],
        [one for one in verdicts if one["by_hand"] and one["revision"] == now],
        project.checks if project else (),
    )


def _check(front: Front, project: str, row: Row) -> Row:
    """What a check said, and whether it is posted."""
    listed = front.floor.settings.projects.get(project)
    ours = row["remote"] == OWN_REMOTE
    return row | {"ours": ours, "posted": ours or (listed is not None and row["context"] in listed.checks)}


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
    if worst["state"] == "success":
        worst = next((v for v in told if v.get("branch")), worst)
        if not worst.get("branch"):
            return (
                f"It applies to {newest['tree']}; its checks found nothing, and it waits for a branch and its results."
            )
    which = f" of patch {worst['patch']}" if worst.get("patch") else ""
    settled = "" if worst["settled"] or which else ", which the next branch may change"
    return f"It applies to {newest['tree']}; {worst['context']}{which} is {worst['state']}{settled}: {worst['text']}."
