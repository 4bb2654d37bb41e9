"""Builders for tests of ingest: mails as people send them, settings, and a room at work."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any, TypeVar

from services.ingest.app import IngestRoom
from shared.floor import Floor
from shared.practice.patchwork import Served
from shared.settings import Settings

T = TypeVar("T")

LIST = "netdev.vger.kernel.org"
AUTHOR = "Ann Author <ann@example.org>"
WHEN = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def a_diff(path: str = "net/core/dev.c", line: str = "x") -> str:
    return (
        f"diff --git a/{path} b/{path}\nindex 1111111..2222222 100644\n--- a/{path}\n+++ b/{path}\n"
        f"@@ -1,2 +1,3 @@\n one\n+{line}\n two\n"
    )


def a_mail(
    subject: str,
    message_id: str,
    *,
    author: str = AUTHOR,
    reply: str = "",
    body: str = "Why and how.",
    diff: str | None = None,
    trailers: str = "",
    headers: str = "",
) -> bytes:
    """One mail. `diff` is left out if ""; None is an ordinary one."""
    name = author.partition("<")[0].strip()
    above = f"In-Reply-To: <{reply}>\nReferences: <{reply}>\n" if reply else ""
    signed = f"{trailers}Signed-off-by: {author}\n"
    text = a_diff() if diff is None else diff
    tail = f"---\n net/core/dev.c | 1 +\n\n{text}-- \n2.39\n" if text else ""
    return (
        f"From: {author}\nTo: netdev@vger.kernel.org\nList-Id: <{LIST}>\nDate: {format_datetime(WHEN)}\n"
        f"Message-Id: <{message_id}>\n{above}{headers}Subject: {subject}\n\n{body}\n\n{signed if name else ''}{tail}"
    ).encode()


def a_series(
    title: str = "tcp: make it faster",
    *,
    patches: int = 3,
    version: int = 1,
    tree: str = "net-next",
    author: str = AUTHOR,
    cover: bool = False,
    key: str = "",
    reply: str = "",
    diffs: list[str] | None = None,
    trailers: str = "",
) -> list[bytes]:
    """The mails of a series in order, the cover first if it has one. Message ids are made of `key` and the version."""
    key = key or title.replace(" ", "-").replace(":", "")
    words = " ".join(word for word in ("PATCH", tree, f"v{version}" if version > 1 else "") if word)
    first = f"{key}-v{version}-{0 if cover else 1}@example.org"
    mails = []
    if cover:
        subject = f"[{words} 0/{patches}] {title}"
        mails.append(a_mail(subject, first, author=author, reply=reply, diff="", body="The whole."))
    for number in range(1, patches + 1):
        count = f" {number}/{patches}" if patches > 1 or cover else ""
        id_ = f"{key}-v{version}-{number}@example.org"
        subject = f"[{words}{count}] {title}{'' if number == 1 and not cover else f', part {number}'}"
        above = reply if id_ == first else first
        diff = diffs[number - 1] if diffs else None
        mails.append(a_mail(subject, id_, author=author, reply=above, diff=diff, trailers=trailers))
    return mails


def some_settings(url: str, **patchwork: Any) -> Settings:
    """One project, netdev, on the Patchwork at `url`, with quick polls."""
    quick = {"poll": "50ms", "reconcile": "100ms", "sync_queue": "100ms", "incomplete_after": "1h", "timeout": "5s"}
    tree = {"git": "/nowhere"}
    return Settings.model_validate(
        {
            "data": "/nonexistent",
            "ingest": {"listen": "127.0.0.1:0"},
            "projects": {
                "netdev": {
                    "patchwork": {"url": url, "project": "netdevbpf", **quick, **patchwork},
                    "triage": {"ours": ["net/", "drivers/net/"], "also": ["include/"], "not": ["net/ceph/"],
                               "ignore_subjects": ["can"]},
                    "trees": {
                        "net-next": {**tree, "tags": ["net-next"], "kind": "next"},
                        "net": {**tree, "tags": ["net"], "kind": "fixes"},
                    },
                }
            },
        }
    )  # fmt: skip


@asynccontextmanager
async def at_work(floor: Floor) -> AsyncIterator[None]:
    """The room, running; cancelled at the end as a process that stops."""
    started = asyncio.Event()
    task = asyncio.ensure_future(IngestRoom(floor).run(started.set))
    try:
        async with asyncio.timeout(10):
            await started.wait()
        yield
    finally:
        task.cancel()
        [end] = await asyncio.gather(task, return_exceptions=True)
        assert isinstance(end, asyncio.CancelledError), f"the room broke: {end!r}"


async def until(floor: Floor, look: Callable[[], Awaitable[T | None]], seconds: float = 60) -> T:
    """What `look` gives, as soon as it gives something true; looked at whenever something was announced."""
    async with asyncio.timeout(seconds):
        while True:
            seen = floor.bells.count("netci_events")
            if found := await look():
                return found
            await floor.bells.wait("netci_events", seen, 0.05)


async def rows(floor: Floor, columns: str = "*") -> list[Any]:
    """The series, by the source's number."""
    return list(await floor.pool.fetch(f"select {columns} from ingest.series_v order by external_id"))


async def events(floor: Floor, kind: str, least: int = 1) -> list[dict[str, Any]]:
    """The bodies of all events of `kind` (``series.arrived``), if there are at least so many."""
    found = await floor.pool.fetch("select body from floor.events where type like $1 order by sequence", f"%.{kind}.v1")
    return [row["body"]["data"] for row in found] if len(found) >= least else []


async def arrived(floor: Floor, least: int = 1) -> list[dict[str, Any]]:
    """All SeriesArrived, once there are at least so many."""
    return await until(floor, lambda: events(floor, "series.arrived", least))


async def changed(floor: Floor, least: int = 1) -> list[dict[str, Any]]:
    """All SeriesChanged, once there are at least so many."""
    return await until(floor, lambda: events(floor, "series.changed", least))


async def rounds(floor: Floor, column: str = "queue_synced") -> None:
    """Wait until a poll that began after this call has ended: what it saw is in the tables then."""
    seen: set[Any] = set()

    async def another() -> bool:
        seen.add(await floor.pool.fetchval(f"select {column} from ingest.sources"))
        # The first is of a poll that ended before, the second of one that may have been under way.
        return len(seen - {None}) > 2

    await until(floor, another)


async def health(floor: Floor, name: str = "patchwork:netdev") -> tuple[bool, str] | None:
    """Whether the source answers, and what is wrong; None before it was looked at."""
    row = await floor.pool.fetchrow("select ok, text from floor.health where name = $1", name)
    return (row["ok"], row["text"]) if row else None


async def idle(floor: Floor) -> None:
    """Wait until no series is being taken in or waits for it."""

    async def nothing() -> bool:
        return not await floor.pool.fetchval("select count(*) from floor.work where state in ('ready', 'leased')")

    await until(floor, nothing)


def submit(site: Served, mails: Sequence[bytes]) -> None:
    for mail in mails:
        site.submit(mail)
