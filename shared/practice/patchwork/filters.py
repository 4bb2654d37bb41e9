"""Which rows a query asks for, in what order: a wrong value finds nothing, an unknown name changes nothing.

Each filter turns the values of one parameter into a test of a row, or into None when the value is none that it knows:
then the answer is an empty list and no error. `Unusable` stands for the few questions that make the real server fail.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from shared.practice.patchwork.paging import Query
from shared.practice.patchwork.records import CHECK_STATES, STATES, Patch
from shared.practice.patchwork.state import Patchwork

Row = Any
Test = Callable[[Row], bool]
Filter = Callable[[Patchwork, Sequence[str]], Test | None]

ISO = re.compile(r"\d{4}-\d\d?-\d\d?(?:[T ]\d\d?:\d\d(?::\d\d(?:\.\d{1,6})?)?)?$")
ZONED = re.compile(r"\d{4}-\d\d?-\d\d?[T ]\d\d?:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)$")


class Unusable(Exception):
    """The question makes Patchwork answer 500."""


def chosen(pw: Patchwork, rows: Iterable[Row], query: Query, filters: Mapping[str, Filter]) -> list[Row]:
    """The rows that every known parameter lets through. Raises `Unusable`."""
    found = list(rows)
    for name, make in filters.items():
        values = query.get(name, [])
        if any(values):
            test = make(pw, values)
            found = [row for row in found if test(row)] if test else []
    return found


def ordered(rows: list[Row], query: Query, fields: Sequence[str], default: str) -> list[Row]:
    """Sorted by the known names in `order`; when none is known, by `default`. Equal rows stay by id."""
    names = [n for n in ",".join(query.get("order", [])).split(",") if n.lstrip("-") in fields] or [default]
    for name in reversed(names):
        field = name.lstrip("-")
        rows = sorted(rows, key=lambda row: _key(getattr(row, field)), reverse=name.startswith("-"))
    return rows


def _key(value: object) -> tuple[bool, object]:
    return (value is not None, value)


def _ids(field: str, table: str) -> Filter:
    def make(pw: Patchwork, values: Sequence[str]) -> Test | None:
        known = getattr(pw, table)
        if not all(value.isdigit() and int(value) in known for value in values):
            return None
        wanted = {int(value) for value in values}
        return lambda row: getattr(row, field) in wanted

    return make


def _named(field: str, table: str, names: Sequence[str]) -> Filter:
    """By id or by any of the names, without regard to case; values are joined by OR, one unknown spoils all."""

    def one(pw: Patchwork, value: str) -> set[int]:
        return {
            key
            for key, row in getattr(pw, table).items()
            if str(key) == value or value.lower() in (str(getattr(row, name)).lower() for name in names)
        }

    def make(pw: Patchwork, values: Sequence[str]) -> Test | None:
        found = [one(pw, value) for value in values]
        if not all(found):
            return None
        wanted = set().union(*found)
        return lambda row: getattr(row, field) in wanted

    return make


def _state(_: Patchwork, values: Sequence[str]) -> Test | None:
    """By slug, name or number."""
    found = [_slug(value) for value in values]
    if None in found:
        return None
    return lambda patch: patch.state in found


def _slug(value: str) -> str | None:
    if value.isdigit() and 1 <= int(value) <= len(STATES):
        return STATES[int(value) - 1]
    slug = value.lower().replace(" ", "-")
    return slug if slug in STATES else None


def _archived(_: Patchwork, values: Sequence[str]) -> Test:
    wanted = {"true": True, "1": True, "on": True, "false": False, "0": False, "no": False}
    value = wanted.get(values[-1].lower())
    return lambda patch: value is None or patch.archived == value


def _check_state(_: Patchwork, values: Sequence[str]) -> Test | None:
    """By number only."""
    if values[-1] not in ("0", "1", "2", "3"):
        return None
    return lambda check: check.state == CHECK_STATES[int(values[-1])]


def _exact(field: str) -> Filter:
    return lambda _, values: lambda row: getattr(row, field) == values[-1]


def _msgid(_: Patchwork, values: Sequence[str]) -> Test:
    """Without the angle brackets; with them it is an id that nobody has."""
    return lambda row: row.msgid == f"<{values[-1]}>"


def _hash(_: Patchwork, values: Sequence[str]) -> Test:
    return lambda patch: patch.hash == values[-1].lower()


def _date(keep: Callable[[datetime, datetime], bool]) -> Filter:
    def make(_: Patchwork, values: Sequence[str]) -> Test | None:
        limit = moment(values[-1])
        return None if limit is None else lambda row: keep(row.date, limit)

    return make


def moment(text: str) -> datetime | None:
    """A date or a time without zone, else None. Raises `Unusable` for one with a zone (500 on SQLite and MySQL)."""
    if ZONED.match(text):
        raise Unusable
    if not ISO.match(text):
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _search(fields: Sequence[str]) -> Filter:
    def make(_: Patchwork, values: Sequence[str]) -> Test:
        words = [word.lower() for word in re.split(r"[\s,]+", values[-1]) if word]
        return lambda row: all(
            any(word in str(getattr(row, field) or "").lower() for field in fields) for word in words
        )

    return make


def _cover_series(pw: Patchwork, values: Sequence[str]) -> Test | None:
    """Patchwork looks the id up among the projects, and fails if it finds one."""
    if any(value.isdigit() and int(value) in pw.projects for value in values):
        raise Unusable
    return None


DATES: Mapping[str, Filter] = {
    "since": _date(lambda date, limit: date >= limit),
    "before": _date(lambda date, limit: date < limit),
}
PROJECT = _named("project", "projects", ["link_name"])
SUBMITTER = _named("submitter", "people", ["email", "name"])

SERIES: Mapping[str, Filter] = {"project": PROJECT, "submitter": SUBMITTER, **DATES, "q": _search(["name"])}
COVERS: Mapping[str, Filter] = {"series": _cover_series, **SERIES, "msgid": _msgid}
PATCHES: Mapping[str, Filter] = {
    **SERIES,
    "series": _ids("series", "series"),
    "state": _state,
    "archived": _archived,
    "delegate": _named("delegate", "users", ["username", "email"]),
    "hash": _hash,
    "msgid": _msgid,
}
PATCHES_BEFORE_1_2 = {name: make for name, make in PATCHES.items() if name not in ("hash", "msgid")}
CHECKS: Mapping[str, Filter] = {
    "user": _named("user", "users", ["username"]),
    "state": _check_state,
    "context": _exact("context"),
    **DATES,
}
EVENTS: Mapping[str, Filter] = {
    "category": _exact("category"),
    "project": PROJECT,
    "series": _ids("series", "series"),
    "patch": _ids("patch", "patches"),
    "cover": _ids("cover", "covers"),
    "actor": _ids("actor", "users"),
    **DATES,
}
PEOPLE: Mapping[str, Filter] = {"q": _search(["name", "email"])}
PROJECTS: Mapping[str, Filter] = {"q": _search(["link_name", "name", "list_id", "list_email"])}
USERS: Mapping[str, Filter] = {"q": _search(["username", "email"])}


def by_check(pw: Patchwork, patches: list[Patch], *, newest_first: bool) -> list[Patch]:
    """Patches ordered by their checks: one that has three comes three times, as the real join makes it."""
    rows = [(check.id, patch) for patch in patches for check in pw.checks_of(patch.id)]
    rows += [(0, patch) for patch in patches if not pw.checks_of(patch.id)]
    rows.sort(key=lambda row: row[0], reverse=newest_first)
    return [patch for _, patch in rows]
