"""What is new on a branch against the one before it: ``branch_deltas/<branch>.html``, and the same as text."""

from collections.abc import Mapping, Sequence
from typing import Any

from aiohttp import web

from services.report.web.front import FRONT, Data, Front, page
from services.report.web.nipa.reading import Row, reading_of
from services.report.web.nipa.results import commits_of
from shared.errors import Missing
from shared.formats.clean import plain


async def delta(front: Front, request: web.Request) -> Data:
    """Raises Missing."""
    read, name = reading_of(front), request.match_info["name"]
    if (cut := await read.one("delta", name)) is None:
        raise Missing(f"no branch {name[:200]}")
    around = (cut["project"], cut["stream"], cut["id"])
    before = await read.one("delta_before", *around)
    rows = await read.rows("delta_series", [cut["id"], *([before["id"]] if before else [])])
    now = [row for row in rows if row["cut_id"] == cut["id"]]
    return {
        "cut": cut, "before": before, "after": await read.value("delta_after", *around), "commits": commits_of(cut),
        "bases": _bases(cut, before), **_changes(now, [row for row in rows if row["cut_id"] != cut["id"]]),
    }  # fmt: skip


def _changes(now: Sequence[Row], then: Sequence[Row]) -> Mapping[str, Any]:
    """Series that came, went and stayed. What went and was accepted is in the base by now."""
    were, are = {row["id"] for row in then}, {row["id"] for row in now}
    return {
        "came": [row for row in now if row["id"] not in were],
        "went": [row for row in then if row["id"] not in are],
        "stayed": [row for row in now if row["id"] in were],
    }


def _bases(cut: Row, before: Row | None) -> list[Row]:
    """The trees under the branch, each with its commit of now and of then."""
    then = {m["tree"]: m["head"] for m in before["merges"]} if before else {}
    merged = [{"tree": m["tree"], "head": m["head"], "then": then.get(m["tree"], "")} for m in cut["merges"]]
    return [{"tree": "base", "head": cut["base"], "then": before["base"] if before else ""}, *merged]


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
