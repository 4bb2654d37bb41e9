"""Atom feeds (RFC 4287) of what a reader may want to be told of: a series, a person's series, branches, a test.

Made from the same data as the pages. What strangers wrote is text, never markup, and only what XML 1.0 can hold.
"""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from urllib.parse import quote, urlsplit
from xml.etree.ElementTree import Element, SubElement, tostring

from aiohttp import web

from services.report.web import branches, mine, series
from services.report.web.front import FRONT, Front
from services.report.web.history import test
from services.report.web.store import Row
from shared.formats.clean import plain

NAMESPACE = "http://www.w3.org/2005/Atom"
MOST = 50


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that was said. `name` makes its id: what is said anew needs another."""

    name: str
    title: str
    text: str
    path: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Feed:
    """`path` is the page that shows the same."""

    title: str
    path: str
    entries: list[Entry]


Make = Callable[[Front, web.Request], Awaitable[Feed]]


async def of_series(front: Front, request: web.Request) -> Feed:
    """The verdicts of one series."""
    data = await series.series(front, request)
    row, path = data["series"], f"/series/{data['series']['id']}"
    said = [v for v in data["verdicts"] if not v["patch"]]
    entries = [
        Entry(f"{path}/{v['context']}/{v['changes']}", f"{v['context']}: {v['state']}", v["text"], path, v["at"])
        for v in said
    ]
    return Feed(row["title"], path, entries)


async def of_person(front: Front, request: web.Request) -> Feed:
    """The series of an author or a delegate, each with where it stands."""
    data = await mine.mine(front, request)
    whose = data["who"] or data["delegate"]
    entries = [
        Entry(
            f"/mine/{one['id']}/{one['told'].timestamp():.0f}", f"{one['verdict'] or one['state']}: {one['title']}",
            one["sentence"], f"/series/{one['id']}", one["told"],
        )
        for one in data["series"]
    ]  # fmt: skip
    return Feed(f"Series of {whose}", f"/mine?{request.rel_url.raw_query_string}", entries)


async def of_branches(front: Front, request: web.Request) -> Feed:
    """Branches, and what came of each."""
    data = await branches.branches(front, request)
    told = [row for row in data["branches"] if row["verdict"] or row["announced"]]
    entries = [
        Entry(
            f"/branch/{row['name']}/{row['verdict'] or row['state']}",
            f"{row['name']}: {row['verdict'] or row['state']}", row["text"] or f"It is {row['state']}.",
            f"/branch/{quote(row['name'], safe='')}", row["announced"] or row["planned"],
        )
        for row in told[:MOST]
    ]  # fmt: skip
    stream = data["stream"]
    return Feed(
        f"Branches of {stream}" if stream else "Branches", f"/branches?{request.rel_url.raw_query_string}", entries
    )


async def of_test(front: Front, request: web.Request) -> Feed:
    """When a test began to fail or to pass, in each lab."""
    data = await test.test_history(front, request)
    name = f"{data['filters']['group']}/{data['filters']['test']}"
    entries = [entry for lab in data["labs"] for entry in turns(name, lab)]
    return Feed(
        name, f"/test?{request.rel_url.raw_query_string}", sorted(entries, key=lambda one: one.at, reverse=True)[:MOST]
    )


def turns(name: str, lab: Row) -> list[Entry]:
    """The runs of a lab whose outcome is another than that of the run before them. Pure."""
    where, found = f"{lab['remote']}/{lab['executor']}", []
    judged = [one for one in lab["outcomes"] if one["outcome"] in ("pass", "flaky", "fail")]
    for now, before in pairwise(judged):
        if (now["outcome"] == "fail") == (before["outcome"] == "fail"):
            continue
        verb = "fails" if now["outcome"] == "fail" else "passes"
        text = f"{name} {verb} on {now['branch']}; on {before['branch']} it was {before['outcome']}."
        found.append(
            Entry(
                f"/test/{now['run_id']}/{name}", f"{name} {verb} in {where}", text, f"/run/{now['run_id']}", now["at"]
            )
        )
    return found


FEEDS: tuple[tuple[str, Make], ...] = (
    ("/series/{key:.+}.atom", of_series),
    ("/mine.atom", of_person),
    ("/branches.atom", of_branches),
    ("/test.atom", of_test),
)


def feed(make: Make) -> Callable[[web.Request], Awaitable[web.Response]]:
    """The handler that gives `make`'s feed."""

    async def give(request: web.Request) -> web.Response:
        front = request.app[FRONT]
        text = as_atom(await make(front, request), front.floor.settings.public_url, str(request.rel_url), front.now)
        return web.Response(body=text, content_type="application/atom+xml", charset="utf-8")

    return give


def as_atom(made: Feed, public_url: str, path: str, now: datetime) -> bytes:
    """The feed as XML. Ids are tag URIs of our host and the year of what is told (RFC 4151), so they stay when the
    address changes."""
    root = Element("feed", xmlns=NAMESPACE)
    at = max((entry.at for entry in made.entries), default=now)
    _add(root, "title", f"{made.title} · netci")
    _add(root, "id", _tag(public_url, datetime(2026, 1, 1, tzinfo=UTC), made.path))
    _add(root, "updated", _time(at))
    SubElement(root, "link", rel="self", type="application/atom+xml", href=public_url + path)
    SubElement(root, "link", rel="alternate", type="text/html", href=public_url + made.path)
    _add(SubElement(root, "author"), "name", "netci")
    for entry in _newest(made.entries):
        element = SubElement(root, "entry")
        _add(element, "title", entry.title)
        _add(element, "id", _tag(public_url, entry.at, entry.name))
        _add(element, "updated", _time(entry.at))
        SubElement(element, "link", rel="alternate", type="text/html", href=public_url + entry.path)
        _add(element, "summary", entry.text)
    return f'<?xml version="1.0" encoding="utf-8"?>\n{tostring(root, encoding="unicode")}'.encode()


def _newest(entries: Iterable[Entry]) -> list[Entry]:
    return sorted(entries, key=lambda entry: entry.at, reverse=True)[:MOST]


def _add(parent: Element, name: str, text: str) -> None:
    # U+FFFE and U+FFFF are printable to nobody, and no XML.
    SubElement(parent, name).text = plain(text).replace("\ufffe", "\ufffd").replace("\uffff", "\ufffd")


def _tag(public_url: str, at: datetime, name: str) -> str:
    host = urlsplit(public_url).hostname or "localhost"
    return f"tag:{host},{at:%Y}:{quote(name, safe='/@:.-_?=&')}"


def _time(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
