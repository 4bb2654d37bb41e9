"""What is new on a branch against the one before it: ``branch_deltas/<branch>.html``, and the same as text."""

from aiohttp import web

from services.report.web.changes import base_changes, series_changes
from services.report.web.front import FRONT, Data, Front, page
from services.report.web.nipa.reading import reading_of
from services.report.web.nipa.results import commits_of
from shared.errors import Missing
from shared.formats.clean import plain


async def delta(front: Front, request: web.Request) -> Data:
    """Raises Missing."""
    read, name = reading_of(front), request.match_info["name"]
    if (cut := await front.read.one("cut_named", name)) is None:
        raise Missing(f"no branch {name[:200]}")
    around = (cut["project"], cut["stream"], cut["id"])
    before = await read.one("delta_before", *around)
    then = before["id"] if before else None
    rows = await front.read.rows("series_on", [cut["id"], *([then] if then else [])])
    return {
        "cut": cut, "before": before, "after": await read.value("delta_after", *around), "commits": commits_of(cut),
        "bases": base_changes(cut, before), **series_changes(rows, cut["id"], then),
    }  # fmt: skip


async def as_text(request: web.Request) -> web.Response:
    data = await delta(request.app[FRONT], request)
    before = data["before"]["name"] if data["before"] else "nothing"
    lines = [f"{data['cut']['name']} against {before}", ""]
    lines += [f"{b['tree']}: {b['head'] or 'unknown'} (was {b['then'] or 'unknown'})" for b in data["bases"]]
    for sign, key in (("+", "came"), ("-", "went"), (" ", "stayed")):
        lines += [f"{sign} {plain(row['title'])} (v{row['version']}, {row['state']})" for row in data[key]]
    return web.Response(text="\n".join(lines) + "\n", content_type="text/plain", charset="utf-8")


def add_routes(app: web.Application) -> None:
    for folder in ("/branch_deltas", "/static/nipa/branch_deltas"):
        app.router.add_get(folder + "/{name}.html", page("nipa_delta.html", delta))
        app.router.add_get(folder + "/{name}", as_text)
