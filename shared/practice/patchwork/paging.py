"""Pages of a list and the Link header that goes with them.

Its shapes are Patchwork's: parameters sorted by name, and no `page` in the one address that leads back to page 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import urlencode

T = TypeVar("T")
Query = Mapping[str, Sequence[str]]

PER_PAGE = 30
MOST = 250


class NoSuchPage(Exception):
    """Past the end, or not a number."""


@dataclass(frozen=True, slots=True)
class Page:
    number: int
    last: int
    start: int
    stop: int


def page(total: int, query: Query) -> Page:
    """Which rows are asked for. A `per_page` that is no positive number means 30; above 250 it is 250, without
    notice.

    Raises `NoSuchPage`.
    """
    size = min(_positive(query.get("per_page", ["0"])[-1]) or PER_PAGE, MOST)
    last = max(1, -(-total // size))
    asked = query.get("page", ["1"])[-1]
    number = last if asked == "last" else _positive(asked)
    if not 1 <= number <= last:
        raise NoSuchPage
    return Page(number, last, (number - 1) * size, number * size)


def link(address: str, query: Query, found: Page, *, ends: bool = True) -> str:
    """The Link header; Patchwork before 3.0 writes neither first nor last (`ends`)."""
    parts = []
    if found.number < found.last:
        parts.append(_part(address, query, found.number + 1, "next"))
    if found.number > 1:
        parts.append(_part(address, query, found.number - 1 if found.number > 2 else None, "prev"))
    if ends:
        parts += [_part(address, query, 1, "first"), _part(address, query, found.last, "last")]
    return ", ".join(parts)


def _part(address: str, query: Query, number: int | None, rel: str) -> str:
    pairs = {name: list(values) for name, values in query.items() if name != "page"}
    if number is not None:
        pairs["page"] = [str(number)]
    text = urlencode(sorted(pairs.items()), doseq=True)
    return f'<{address}{"?" if text else ""}{text}>; rel="{rel}"'


def _positive(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() else 0
