"""Logs: text of strangers, as a page with numbered lines or as it is; reached through what it belongs to only.

The page shows a window of lines; control characters are replaced, nothing is interpreted. Raw bytes go out as plain
text that a browser must not sniff, in a sandbox.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator

from aiohttp import web

from services.report.web.filters import key, number
from services.report.web.front import FRONT, Front, as_page
from services.report.web.log_text import WINDOW, Window, outline, parts, search, window_of
from services.report.web.runs import load_run
from services.report.web.series import find
from shared.blobs.pack import member, names
from shared.errors import Missing, NetciError
from shared.web.headers import SANDBOX

WORD = 200
"""Letters of what is looked for."""
PATIENCE = 60.0
"""Seconds that a reader may take for one piece of a file."""

AS_IT_IS = {"Content-Security-Policy": SANDBOX, "Content-Type": "text/plain; charset=utf-8"}


def raw(data: bytes) -> web.Response:
    return web.Response(body=data, headers=AS_IT_IS)


def _is_raw(request: web.Request) -> bool:
    return request.query.get("raw", "0") not in ("0", "")


def _first(request: web.Request) -> int:
    return number(request.query, "from", 1, 10**9)


async def show(
    request: web.Request, data: bytes, title: str, back: str, what: str, beside: Iterable[str] = ()
) -> web.Response:
    """`data` as asked for: ``?raw=1``, or a page (`_page`)."""
    if _is_raw(request):
        return raw(data)
    return await _page(request, lambda: iter((data,)), len(data), title, back, what, beside)


async def _page(
    request: web.Request, read: Callable[[], Iterator[bytes]], size: int, title: str, back: str, what: str,
    beside: Iterable[str] = (),
) -> web.Response:  # fmt: skip
    """A page that begins at line ``?from=``, or has the lines with the word ``?q=``; it leads to what failed in all of
    the log, and to what is `beside` it.
    """
    front, word = request.app[FRONT], request.query.get("q", "").strip()[:WORD]
    part = await asyncio.to_thread(window_of, read, _first(request)) if not word else Window((), 1, 0, 0)
    values = {
        "window": part, "title": title, "back": back, "what": what, "here": request.path, "size": size,
        "parts": parts(part.lines), "q": word, "found": await asyncio.to_thread(search, read(), word) if word else None,
        "outline": await asyncio.to_thread(outline, read()), "most": WINDOW,
        "beside": [(name.rpartition("/")[2], name) for name in beside],
    }  # fmt: skip
    return as_page(front, "log.html", values, request.path_qs)


async def run_log(request: web.Request) -> web.StreamResponse:
    """A file of a run: of its pack of logs, or an artifact of its own, which may be as large as a lab may send."""
    front = request.app[FRONT]
    run = await load_run(front, request)
    name = request.match_info["name"]
    words = (f"{name} · run {run['id']}", f"/run/{run['id']}", f"{run['remote']}/{run['executor']} on {run['branch']}")
    artifact = await front.read.one("artifact", run["id"], name)
    if artifact is None:
        async with front.logs:
            data, beside = await _of_pack(front, run["log_pack"], name)
        return await show(request, data, *words, beside)
    if _is_raw(request):
        return await _stream(request, artifact["sha256"], artifact["size"])
    async with front.logs:
        return await _page(request, lambda: front.floor.blobs.pieces(artifact["sha256"]), artifact["size"], *words)


async def _stream(request: web.Request, sha256: str, size: int) -> web.StreamResponse:
    """The bytes as they are, a piece of them held at a time."""
    pieces = request.app[FRONT].floor.blobs.pieces(sha256)
    # Before the answer begins: what is missing or damaged becomes an ordinary one.
    piece = await asyncio.to_thread(next, pieces, b"")
    response = web.StreamResponse(headers=AS_IT_IS)
    response.content_length = size
    await response.prepare(request)
    try:
        while piece and request.method != "HEAD":
            async with asyncio.timeout(PATIENCE):
                await response.write(piece)
            piece = await asyncio.to_thread(next, pieces, b"")
    except (TimeoutError, NetciError):
        # Ended otherwise it would look whole.
        if request.transport is not None:
            request.transport.abort()
        return response
    await response.write_eof()
    return response


async def _of_pack(front: Front, pack: str | None, name: str) -> tuple[bytes, list[str]]:
    """A file of a pack, and the names of the others in its folder."""
    if pack is None:
        raise Missing("the logs of a run can be read once it has ended, and as long as they are kept")
    packed = await front.floor.blobs.get(pack)
    folder = name.rpartition("/")[0]
    beside = [other for other in names(packed) if folder and other != name and other.rpartition("/")[0] == folder]
    return await asyncio.to_thread(member, packed, name), beside


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
