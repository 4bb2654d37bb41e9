"""What each readable path of the API answers: a `Call` in, an `Answer` out. Reading is open to all but for people
and users.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shared.practice.patchwork import asking, changes, filters, paging
from shared.practice.patchwork.asking import Answer, Ask
from shared.practice.patchwork.changes import denied
from shared.practice.patchwork.records import Comment, Cover, Patch, User
from shared.practice.patchwork.state import Patchwork
from shared.practice.patchwork.views import Views


@dataclass(slots=True)
class Call:
    """One request that found its route."""

    pw: Patchwork
    ask: Ask
    views: Views
    user: User | None
    keys: tuple[str, ...]
    links_ends: bool = True

    def known_user(self) -> User:
        if self.user is None:
            raise denied(403, changes.NO_CREDENTIALS)
        return self.user

    def number(self, place: int = 0) -> int:
        return int(self.keys[place])

    def listed(
        self, rows: Sequence[Any], show: Callable[[Sequence[Any]], list[Any]], total: int | None = None
    ) -> Answer:
        """One page of rows, with its Link."""
        query = self.ask.query
        try:
            page = paging.page(len(rows) if total is None else total, query)
        except paging.NoSuchPage:
            raise denied(404, "Invalid page.") from None
        body = show(rows[page.start : page.stop])
        link = paging.link(self.ask.address, query, page, ends=self.links_ends)
        given = asking.as_json(body)
        given.headers |= {"Link": link} if link else {}
        return given


Handler = Callable[[Call], Answer]


def _rows(show: Callable[[Any], Any]) -> Callable[[Sequence[Any]], list[Any]]:
    return lambda rows: [show(row) for row in rows]


def get(table: Mapping[int, Any], key: int, what: str) -> Any:
    if key not in table:
        raise denied(404, f"No {what} matches the given query.")
    return table[key]


def index(call: Call) -> Answer:
    return asking.as_json(call.views.index())


def projects(call: Call) -> Answer:
    rows = filters.chosen(call.pw, call.pw.projects.values(), call.ask.query, filters.PROJECTS)
    return call.listed(
        filters.ordered(rows, call.ask.query, ("id", "name", "link_name"), "id"), _rows(call.views.project_row)
    )


def project(call: Call) -> Answer:
    """By id or link name; a list id is no key."""
    for row in call.pw.projects.values():
        if call.keys[0] in (str(row.id), row.link_name):
            return asking.as_json(call.views.project_row(row))
    raise denied(404, "No Project matches the given query.")


def people(call: Call) -> Answer:
    call.known_user()
    rows = filters.chosen(call.pw, call.pw.people.values(), call.ask.query, filters.PEOPLE)
    return call.listed(filters.ordered(rows, call.ask.query, ("id", "name"), "id"), _rows(call.views.person_row))


def person(call: Call) -> Answer:
    call.known_user()
    return asking.as_json(call.views.person_row(get(call.pw.people, call.number(), "Person")))


def users(call: Call) -> Answer:
    call.known_user()
    rows = filters.chosen(call.pw, call.pw.users.values(), call.ask.query, filters.USERS)
    return call.listed(filters.ordered(rows, call.ask.query, ("id", "username"), "id"), _rows(call.views.user_row))


def user(call: Call) -> Answer:
    """The own one with settings."""
    caller = call.known_user()
    found = get(call.pw.users, call.number(), "User")
    return asking.as_json(call.views.user_detail(found) if found is caller else call.views.user_row(found))


def series_list(call: Call) -> Answer:
    query = call.ask.query
    if "received_all" in "".join(query.get("order", [])):
        raise filters.Unusable
    rows = filters.chosen(call.pw, call.pw.series.values(), query, filters.SERIES)
    return call.listed(filters.ordered(rows, query, ("id", "name", "date", "submitter"), "id"), call.views.series_rows)


def series(call: Call) -> Answer:
    return asking.as_json(call.views.series_row(get(call.pw.series, call.number(), "Series")))


def patches(call: Call) -> Answer:
    query = call.ask.query
    known = filters.PATCHES if call.views.since(2) else filters.PATCHES_BEFORE_1_2
    rows = filters.chosen(call.pw, call.pw.patches.values(), query, known)
    total = len(rows)
    fields = ("id", "name", "project", "date", "state", "archived", "submitter")
    order = query.get("order", [""])[-1]
    if order.lstrip("-") == "check":
        rows = filters.by_check(call.pw, rows, newest_first=order.startswith("-"))
    else:
        rows = filters.ordered(rows, query, fields, "id")
    return call.listed(rows, _rows(call.views.patch_row), total)


def patch(call: Call) -> Answer:
    return asking.as_json(call.views.patch_detail(get(call.pw.patches, call.number(), "Patch")))


def covers(call: Call) -> Answer:
    rows = filters.chosen(call.pw, call.pw.covers.values(), call.ask.query, filters.COVERS)
    rows = filters.ordered(rows, call.ask.query, ("id", "name", "date", "submitter"), "id")
    return call.listed(rows, _rows(call.views.cover_row))


def cover(call: Call) -> Answer:
    return asking.as_json(call.views.cover_detail(get(call.pw.covers, call.number(), "Cover")))


def checks(call: Call) -> Answer:
    found: Patch = get(call.pw.patches, call.number(), "Patch")
    rows = filters.chosen(call.pw, call.pw.checks_of(found.id), call.ask.query, filters.CHECKS)
    return call.listed(filters.ordered(rows, call.ask.query, ("id", "date"), "id"), _rows(call.views.check_row))


def check(call: Call) -> Answer:
    found = call.pw.checks.get(call.number(1))
    if found is None or found.patch != call.number():
        raise denied(404, "No Check matches the given query.")
    return asking.as_json(call.views.check_row(found))


def patch_comments(call: Call) -> Answer:
    found: Patch = get(call.pw.patches, call.number(), "Patch")
    rows = [c for c in call.pw.patch_comments.values() if c.patch == found.id]
    return call.listed(rows, _rows(call.views.comment_row))


def cover_comments(call: Call) -> Answer:
    found: Cover = get(call.pw.covers, call.number(), "Cover")
    rows = [c for c in call.pw.cover_comments.values() if c.cover == found.id]
    return call.listed(rows, _rows(call.views.comment_row))


def patch_comment(call: Call) -> Answer:
    return asking.as_json(call.views.comment_row(comment_of(call, "patch")))


def cover_comment(call: Call) -> Answer:
    return asking.as_json(call.views.comment_row(comment_of(call, "cover")))


def comment_of(call: Call, kind: str) -> Comment:
    table = call.pw.patch_comments if kind == "patch" else call.pw.cover_comments
    found = table.get(call.number(1))
    if found is None or getattr(found, kind) != call.number():
        raise denied(404, f"No {kind.capitalize()}Comment matches the given query.")
    return found


def events(call: Call) -> Answer:
    """Ordered by date only. Comment events are of 1.3."""
    rows = filters.chosen(call.pw, call.pw.visible_events(), call.ask.query, filters.EVENTS)
    if not call.views.since(3):
        rows = [event for event in rows if "comment" not in event.category]
    return call.listed(filters.ordered(rows, call.ask.query, ("date",), "-date"), _rows(call.views.event_row))


def bundles(call: Call) -> Answer:
    """Nobody makes bundles here."""
    return call.listed([], list)
