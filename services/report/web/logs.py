"""Logs: text of strangers, as a page with numbered lines or as it is; reached through what it belongs to only.

The page shows a window of lines; control characters are replaced, nothing is interpreted. Raw bytes go out as plain
text that a browser must not sniff, in a sandbox.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web

from services.report.web.filters import key, number
from services.report.web.front import FRONT, Front, as_page
from services.report.web.runs import load_run
from services.report.web.series import find
from shared.blobs.pack import member
from shared.errors import Missing
from shared.formats.clean import plain
from shared.web.headers import SANDBOX

WINDOW = 5000
"""Lines on one page."""
LINE = 4000
"""Characters shown of one line."""


@dataclass(frozen=True, slots=True)
class Window:
    """Lines `first` to `last` (from 1) of `total`."""

    lines: tuple[tuple[int, str, str], ...]
    first: int
    last: int
    total: int


def window(data: bytes, first: int, most: int = WINDOW) -> Window:
    """Part of a log as (number, kind, harmless text). `kind` colours what TAP says: ok, not-ok, skip or ""."""
    lines = data.split(b"\n")
    if lines and not lines[-1]:
        lines.pop()
    first = max(1, min(first, len(lines) or 1))
    part = lines[first - 1 : first - 1 + most]
    shown = tuple((first + i, *_line(line)) for i, line in enumerate(part))
    return Window(shown, first, first + len(part) - 1, len(lines))


def _line(raw: bytes) -> tuple[str, str]:
    text = raw[: LINE * 4].decode("utf-8", "replace").rstrip("\r")
    more = " […]" if len(text) > LINE or len(raw) > LINE * 4 else ""
    text = "    ".join(plain(part) for part in text[:LINE].split("\t"))
    return kind_of_line(text), text + more


def kind_of_line(text: str) -> str:
    """What a line of TAP says, at any depth of nesting."""
    bare = text.lstrip("# ")
    if bare.startswith("not ok "):
        return "not-ok"
    if bare.startswith("ok "):
        return "skip" if "# SKIP" in bare.upper() else "ok"
    if "Call Trace:" in text or "BUG: " in text or "WARNING: CPU" in text or "Kernel panic" in text:
        return "not-ok"
    return ""


def raw(data: bytes) -> web.Response:
    headers = {"Content-Security-Policy": SANDBOX, "Content-Type": "text/plain; charset=utf-8"}
    return web.Response(body=data, headers=headers)


async def show(request: web.Request, data: bytes, title: str, back: str, what: str) -> web.Response:
    """`data` as asked for: ``?raw=1``, or a page that begins at line ``?from=``."""
    if request.query.get("raw", "0") not in ("0", ""):
        return raw(data)
    part = await asyncio.to_thread(window, data, number(request.query, "from", 1, 10**9))
    front = request.app[FRONT]
    values = {"window": part, "title": title, "back": back, "what": what, "here": request.path, "size": len(data)}
    return as_page(front, "log.html", values | {"most": WINDOW}, request.path_qs)


async def run_log(request: web.Request) -> web.Response:
    """A file of a run: of its pack of logs, or an artifact of its own."""
    front = request.app[FRONT]
    run = await load_run(front, request)
    name = request.match_info["name"]
    async with front.logs:
        data = await _of_run(front, run["id"], run["log_pack"], name)
    title = f"{name} · run {run['id']}"
    return await show(
        request, data, title, f"/run/{run['id']}", f"{run['remote']}/{run['executor']} on {run['branch']}"
    )


async def _of_run(front: Front, run: int, pack: str | None, name: str) -> bytes:
    for artifact in await front.read.rows("artifacts", run):
        if artifact["name"] == name:
            return await front.floor.blobs.get(artifact["sha256"])
    if pack is None:
        raise Missing("the logs of a run can be read once it has ended, and as long as they are kept")
    packed = await front.floor.blobs.get(pack)
    take: Callable[[bytes, str], bytes] = member
    return await asyncio.to_thread(take, packed, name)


async def applied_log(request: web.Request) -> web.Response:
    """What git said when the series was applied."""
    front = request.app[FRONT]
    number = await find(front, request.match_info["key"])
    sha = await front.read.value("applied_log", number, key(request.match_info["revision"]))
    if sha is None:
        raise Missing("no log of that")
    data = await front.floor.blobs.get(sha)
    return await show(request, data, "how it was applied", f"/series/{number}", f"series {number}")


async def selection_log(request: web.Request) -> web.Response:
    """What git said when a series was put on a branch, or was not."""
    front = request.app[FRONT]
    name = request.match_info["name"]
    sha = await front.read.value("selection_log", name, key(request.match_info["series"]))
    if sha is None:
        raise Missing("no log of that")
    data = await front.floor.blobs.get(sha)
    return await show(request, data, "how it was put on the branch", f"/branch/{name}", name)
