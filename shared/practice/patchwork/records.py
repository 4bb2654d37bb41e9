"""What a practice Patchwork remembers: one class a table, joined by ids, nothing computed.

It knows no HTTP and no mail; `snapshot` turns it to JSON and back, so every field is a plain value, a date, or a list
of plain values.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

STATES = (
    "new",
    "under-review",
    "accepted",
    "rejected",
    "rfc",
    "not-applicable",
    "changes-requested",
    "awaiting-upstream",
    "superseded",
    "deferred",
)
"""Patchwork's default patch states, by slug; the number of a state is its place, from 1."""

CHECK_STATES = ("pending", "success", "warning", "fail")
"""The states of a check; the number that Patchwork also takes is the place, from 0."""


@dataclass(slots=True)
class User:
    id: int
    username: str
    email: str
    token: str
    password: str


@dataclass(slots=True)
class Project:
    id: int
    link_name: str
    name: str
    list_id: str
    list_email: str
    maintainers: list[int] = field(default_factory=list)
    list_archive_url: str = ""
    list_archive_url_format: str = "https://lore.kernel.org/r/{}"
    show_dependencies: bool = True


@dataclass(slots=True)
class Person:
    id: int
    name: str | None
    email: str
    user: int | None = None


@dataclass(slots=True)
class Patch:
    id: int
    msgid: str
    """With its angle brackets."""
    project: int
    date: datetime
    """The mail's Date in UTC, without zone; the time of arrival when that can't be read."""
    name: str
    submitter: int
    headers: str
    content: str
    diff: str | None
    hash: str | None
    pull_url: str | None
    prefixes: list[str]
    state: str = "new"
    delegate: int | None = None
    archived: bool = False
    commit_ref: str | None = None
    series: int | None = None
    number: int | None = None
    related: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Cover:
    id: int
    msgid: str
    project: int
    date: datetime
    name: str
    submitter: int
    headers: str
    content: str
    series: int | None = None


@dataclass(slots=True)
class Series:
    id: int
    project: int
    name: str | None
    date: datetime
    submitter: int
    version: int
    total: int
    cover: int | None = None
    patches: list[int] = field(default_factory=list)
    """Ids in order of arrival."""
    dependencies: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Comment:
    id: int
    """Comments of patches and of covers are counted apart."""
    msgid: str
    date: datetime
    submitter: int
    headers: str
    content: str
    patch: int | None = None
    cover: int | None = None
    addressed: bool | None = None


@dataclass(slots=True)
class Check:
    id: int
    patch: int
    user: int
    date: datetime
    state: str
    context: str
    target_url: str | None = None
    description: str | None = None


@dataclass(slots=True)
class Event:
    id: int
    category: str
    project: int
    date: datetime
    actor: int | None = None
    series: int | None = None
    patch: int | None = None
    cover: int | None = None
    check: int | None = None
    comment: int | None = None
    was: str | int | None = None
    """State or delegate before the change."""
    now: str | int | None = None
    """State or delegate after it."""
    late: bool = False
    """Taken down, but not yet to be seen (its mail's transaction is still open)."""
