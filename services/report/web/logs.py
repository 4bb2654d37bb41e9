"""Logs: text of strangers, as a page with numbered lines or as it is; reached through what it belongs to only.

The page shows a window of lines; control characters are replaced, nothing is interpreted. Raw bytes go out as plain
text that a browser must not sniff, in a sandbox.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from aiohttp import web

from services.report.web.filters import key, number
from services.report.web.front import FRONT, Front, as_page
from services.report.web.runs import load_run
from services.report.web.series import find
from shared.blobs.pack import member, names
from shared.errors import Missing, NetciError
from shared.formats.clean import plain
from shared.web.headers import SANDBOX

WINDOW = 5000
"""Lines on one page."""
LINE = 4000
"""Characters shown of one line."""
HELD = 4 << 20
"""Bytes of lines on one page, as far as whole lines go."""
PATIENCE = 60.0
"""Seconds that a reader may take for one piece of a file."""

AS_IT_IS = {"Content-Security-Policy": SANDBOX, "Content-Type": "text/plain; charset=utf-8"}


@dataclass(frozen=True, slots=True)
class Window:
    """Lines `first` to `last` (from 1) of `total`."""

    lines: tuple[tuple[int, str, str], ...]
    first: int
    last: int
    total: int


def window(data: bytes, first: int, most: int = WINDOW) -> Window:
    """Part of a log as (number, kind, harmless text). `kind` colours what TAP says: ok, not-ok, skip or ""."""
    return window_of(lambda: iter((data,)), first, most)


def window_of(read: Callable[[], Iterator[bytes]], first: int, most: int = WINDOW) -> Window:
    """The same of a log that `read` gives in pieces: no more of it is held than is shown."""
    lines, total = _lines(read(), first, most)
    if first > max(1, total):
        first = max(1, total)
        lines, total = _lines(read(), first, most)
    shown = tuple((number, *_line(bytes(line))) for number, line in lines.items())
    return Window(shown, first, first + len(shown) - 1, total)


def _lines(pieces: Iterable[bytes], first: int, most: int) -> tuple[dict[int, bytearray], int]:
    """Lines from `first` on by number, `most` of them or some `HELD` bytes, and how many there are in all."""
    lines: dict[int, bytearray] = {}
    number, last, held, whole = 1, first + most - 1, 0, True
    for piece in filter(None, pieces):
        whole = piece.endswith(b"\n")
        count = piece.count(b"\n")
        if number > last or number + count < first:
            number += count
            continue
        for index, part in enumerate(piece.split(b"\n")):
            number += index > 0
            if first <= number <= last:
                line = lines.setdefault(number, bytearray())
                held -= len(line)
                line += part[: LINE * 4 + 1 - len(line)]
                held += len(line)
                last = last if held <= HELD else number
    total = number - whole
    lines.pop(total + 1, None)
    return lines, total


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
    return web.Response(body=data, headers=AS_IT_IS)


def _is_raw(request: web.Request) -> bool:
    return request.query.get("raw", "0") not in ("0", "")


def _first(request: web.Request) -> int:
    return number(request.query, "from", 1, 10**9)


async def show(
    request: web.Request, data: bytes, title: str, back: str, what: str, beside: Iterable[str] = ()
) -> web.Response:
    """`data` as asked for: ``?raw=1``, or a page that begins at line ``?from=`` and leads to what is `beside` it."""
    if _is_raw(request):
        return raw(data)
    part = await asyncio.to_thread(window, data, _first(request))
    return _page(request, part, len(data), title, back, what, beside)


def _page(
    request: web.Request, part: Window, size: int, title: str, back: str, what: str, beside: Iterable[str] = ()
) -> web.Response:
    front = request.app[FRONT]
    values = {"window": part, "title": title, "back": back, "what": what, "here": request.path, "size": size}
    values |= {"beside": [(name.rpartition("/")[2], name) for name in beside]}
    return as_page(front, "log.html", values | {"most": WINDOW}, request.path_qs)


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
        part = await asyncio.to_thread(
            window_of, lambda: front.floor.blobs.pieces(artifact["sha256"]), _first(request)
        )  # fmt: skip
    return _page(request, part, artifact["size"], *words)


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
