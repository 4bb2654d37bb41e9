"""How an answer is held against a recorded one: status, headers, fields and values, order, paging."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote_plus

from shared.practice.patchwork.asking import Answer
from tests.shared.practice.patchwork.recording import Exchange

HEADERS = ("content-type", "link", "location", "allow", "vary", "content-disposition")
ARRIVAL = re.compile(r"2026-11-23T\d\d:\d\d:\d\d(\.\d+)?")
CUT = re.compile(r"\n\.\.\. \(\d+ characters\)\Z")
MANY = 12_000


def differences(exchange: Exchange, answer: Answer) -> list[str]:
    """What is not the same, in words. Times of arrival count as equal, as do pages for humans."""
    found = list(_heads(exchange.response, answer))
    if "body" in exchange.response:
        found += _bodies(exchange.response, answer)
    elif answer.headers["Content-Type"].startswith("text/") and "html" not in answer.headers["Content-Type"]:
        found += _texts(exchange, answer.body.decode())
    return found


def _heads(wanted: Mapping[str, Any], answer: Answer) -> Iterator[str]:
    if wanted["status"] != answer.status:
        yield f"status {answer.status}, recorded {wanted['status']}"
    ours = {name.lower(): value for name, value in answer.headers.items()}
    theirs = wanted["headers"]
    for name in HEADERS:
        if (ours.get(name) or name in theirs) and unquote_plus(ours.get(name, "")) != unquote_plus(
            theirs.get(name, "")
        ):
            yield f"{name}: {ours.get(name)}, recorded {theirs.get(name)}"


def _bodies(wanted: Mapping[str, Any], answer: Answer) -> Iterator[str]:
    try:
        ours = json.loads(answer.body)
    except ValueError:
        yield f"no JSON: {answer.body[:60]!r}"
        return
    theirs = wanted["body"]
    if isinstance(theirs, list):
        if len(ours) != wanted["items"]:
            yield f"{len(ours)} rows, recorded {wanted['items']}"
        ours = ours[: len(theirs)]
    yield from compared("", ours, theirs)


def compared(at: str, ours: Any, theirs: Any) -> Iterator[str]:
    """Field by field and in order."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        if list(ours) != list(theirs):
            yield f"{at}: fields {list(ours)}, recorded {list(theirs)}"
        for name in ours.keys() & theirs.keys():
            yield from compared(f"{at}.{name}", ours[name], theirs[name])
    elif isinstance(ours, list) and isinstance(theirs, list):
        if len(ours) != len(theirs):
            yield f"{at}: {len(ours)} of them, recorded {len(theirs)}"
        for place, (one, other) in enumerate(zip(ours, theirs, strict=False)):
            yield from compared(f"{at}[{place}]", one, other)
    elif _plain(ours) != _plain(theirs):
        yield f"{at}: {ours!r:.200}, recorded {theirs!r:.200}"


def _plain(value: Any) -> Any:
    return ARRIVAL.sub("ARRIVAL", value) if isinstance(value, str) else value


def _texts(exchange: Exchange, ours: str) -> Iterator[str]:
    """Recorded texts were cut after 12,000 characters."""
    theirs = exchange.response.get("text", "")
    if exchange.request["method"] == "HEAD":
        return
    if CUT.search(theirs):
        theirs, ours = theirs[:MANY], ours[:MANY]
    if ours != theirs:
        place = next(
            (i for i, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b), min(len(ours), len(theirs))
        )
        yield f"text at {place}: {ours[place : place + 80]!r}, recorded {theirs[place : place + 80]!r}"
