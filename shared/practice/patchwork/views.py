"""How records look as JSON in one API version: dicts in the order in which Patchwork writes them.

Fields by version: 1.1 adds web_url and comments, 1.2 relations, 1.4 dependencies, only for projects that show them.
"""

from __future__ import annotations

from collections.abc import Sequence
from email.parser import HeaderParser
from functools import cached_property

from shared.practice.patchwork.links import Json, Links, page_of, stamp
from shared.practice.patchwork.records import Check, Comment, Cover, Event, Patch, Person, Project, Series, User


def header_fields(text: str) -> Json:
    """Stored headers as fields; one that is there several times becomes a list."""
    fields: dict[str, list[str]] = {}
    for name, value in HeaderParser().parsestr(text).items():
        fields.setdefault(name, []).append(value)
    return {name: values[0] if len(values) == 1 else values for name, values in fields.items()}


class Views(Links):
    """Rows and details, for one request."""

    def project_row(self, project: Project) -> Json:
        row = self.project_fields(project)
        archives = self.archives(project)
        row = {name: value for name, value in row.items() if name not in archives}
        row["maintainers"] = [self.user(user) for user in project.maintainers]
        if self.since(1):
            row["subject_match"] = ""
        row |= archives
        return row | ({"show_dependencies": project.show_dependencies} if self.since(4) else {})

    def patch_row(self, patch: Patch) -> Json:
        page = page_of("patch", patch.msgid, self.pw.projects[patch.project].link_name)
        series = self.pw.series.get(patch.series) if patch.series else None
        return {
            "id": patch.id,
            "url": f"{self.api}/patches/{patch.id}/",
            **self.web(page),
            "project": self.project(patch.project),
            "msgid": patch.msgid,
            **self.archived(patch.msgid, patch.project),
            "date": stamp(patch.date),
            "name": patch.name,
            "commit_ref": patch.commit_ref,
            "pull_url": patch.pull_url,
            "state": patch.state,
            "archived": patch.archived,
            "hash": patch.hash,
            "submitter": self.person(patch.submitter),
            "delegate": self.user(patch.delegate),
            "mbox": f"{self.host}{page}mbox/",
            "series": [self.series_link(series)] if series else [],
            **({"comments": f"{self.host}/api/patches/{patch.id}/comments/"} if self.since(1) else {}),
            "check": self.pw.combined(patch.id),
            "checks": f"{self.host}/api/patches/{patch.id}/checks/",
            "tags": {},
            **({"related": self._related(patch)} if self.since(2) else {}),
        }

    def _related(self, patch: Patch) -> list[Json]:
        return [self.patch_link(self.pw.patches[other]) for other in patch.related]

    def cover_row(self, cover: Cover) -> Json:
        page = page_of("cover", cover.msgid, self.pw.projects[cover.project].link_name)
        series = self.pw.series.get(cover.series) if cover.series else None
        return {
            "id": cover.id,
            "url": f"{self.api}/covers/{cover.id}/",
            **self.web(page),
            "project": self.project(cover.project),
            "msgid": cover.msgid,
            **self.archived(cover.msgid, cover.project),
            "date": stamp(cover.date),
            "name": cover.name,
            "submitter": self.person(cover.submitter),
            **({"mbox": f"{self.host}{page}mbox/"} if self.since(1) else {}),
            "series": [self.series_link(series)] if series else [],
            **({"comments": f"{self.host}/api/covers/{cover.id}/comments/"} if self.since(1) else {}),
        }

    def series_row(self, series: Series) -> Json:
        patches = sorted(self.pw.received(series), key=lambda patch: patch.date)
        cover = self.pw.covers.get(series.cover) if series.cover else None
        row: Json = {
            "id": series.id,
            "url": f"{self.api}/series/{series.id}/",
            **self.series_page(series),
            "project": self.project(series.project),
            "name": series.name,
            "date": stamp(series.date),
            "submitter": self.person(series.submitter),
            "version": series.version,
            "total": series.total,
            "received_total": len(patches),
            "received_all": len(patches) >= series.total,
            "mbox": f"{self.host}/series/{series.id}/mbox/",
            "cover_letter": self.cover_link(cover) if cover else None,
            "patches": [self.patch_link(patch) for patch in patches],
        }
        return row | self._dependencies(series)

    def _dependencies(self, series: Series) -> Json:
        if not self.since(4) or not self.pw.projects[series.project].show_dependencies:
            return {}
        return {
            "dependencies": [f"{self.api}/series/{other}/" for other in series.dependencies],
            "dependents": [f"{self.api}/series/{other}/" for other in self._dependents.get(series.id, [])],
        }

    @cached_property
    def _dependents(self) -> dict[int, list[int]]:
        behind: dict[int, list[int]] = {}
        for series in self.pw.series.values():
            for needed in series.dependencies:
                behind.setdefault(needed, []).append(series.id)
        return behind

    def series_rows(self, found: Sequence[Series]) -> list[Json]:
        """A list of series. Patchwork 1.4 drops both dependency fields from every row after the first of a project
        without them.
        """
        rows = []
        shown = True
        for series in found:
            shown = shown and self.pw.projects[series.project].show_dependencies
            row = self.series_row(series)
            dropped = () if shown else ("dependencies", "dependents")
            rows.append({name: value for name, value in row.items() if name not in dropped})
        return rows

    def check_row(self, check: Check) -> Json:
        return {
            "id": check.id,
            "url": f"{self.api}/patches/{check.patch}/checks/{check.id}/",
            "user": self.user(check.user),
            "date": stamp(check.date),
            "state": check.state,
            "target_url": check.target_url,
            "context": check.context,
            "description": check.description,
        }

    def check_link(self, check: Check) -> Json:
        """As an event shows it: without user and description."""
        return {name: value for name, value in self.check_row(check).items() if name not in ("user", "description")}

    def comment_row(self, comment: Comment) -> Json:
        headers = header_fields(comment.headers)
        row = self.comment_link(comment)
        if not self.since(3):
            row.pop("url", None)
        row |= {
            "subject": headers.get("Subject", ""),
            "submitter": self.person(comment.submitter),
            "content": comment.content,
            "headers": headers,
        }
        return row | ({"addressed": comment.addressed} if self.since(3) else {})

    def person_row(self, person: Person) -> Json:
        return {**self.person(person.id), "user": self.user(person.user)}

    def user_row(self, user: User) -> Json:
        return self.user(user.id) or {}

    def event_row(self, event: Event) -> Json:
        return {
            "id": event.id,
            "category": event.category,
            "project": self.project(event.project),
            "date": stamp(event.date),
            "actor": self.user(event.actor),
            "payload": self._payload(event),
        }

    def _payload(self, event: Event) -> Json:
        pw, payload = self.pw, dict[str, object]()
        if event.patch is not None:
            payload["patch"] = self.patch_link(pw.patches[event.patch])
        if event.cover is not None:
            payload["cover"] = self.cover_link(pw.covers[event.cover])
        if event.series is not None:
            payload["series"] = self.series_link(pw.series[event.series])
        if event.check is not None:
            payload["check"] = self.check_link(pw.checks[event.check])
        if event.comment is not None:
            table = pw.patch_comments if event.patch is not None else pw.cover_comments
            payload["comment"] = self.comment_link(table[event.comment])
        return payload | self._change(event)

    def _change(self, event: Event) -> Json:
        """Relations are always null: Patchwork never fills them."""
        if event.category == "patch-state-changed":
            return {"previous_state": event.was, "current_state": event.now}
        if event.category == "patch-delegated":
            before, after = (self.user(v if isinstance(v, int) else None) for v in (event.was, event.now))
            return {"previous_delegate": before, "current_delegate": after}
        if event.category == "patch-relation-changed":
            return {"previous_relation": None, "current_relation": None}
        return {}

    # -- details

    def patch_detail(self, patch: Patch, *, changed: bool = False) -> Json:
        """`changed` is the answer to a PATCH, which leaves `related` out unless there is a relation."""
        row = self.patch_row(patch)
        if changed and not patch.related:
            row.pop("related", None)
        more = {"headers": header_fields(patch.headers), "content": patch.content, "diff": patch.diff}
        return {**row, **more, "prefixes": patch.prefixes}

    def cover_detail(self, cover: Cover) -> Json:
        return {**self.cover_row(cover), "headers": header_fields(cover.headers), "content": cover.content}

    def user_detail(self, user: User) -> Json:
        settings = {"send_email": False, "items_per_page": 100, "show_ids": False}
        return {**self.user_row(user), "settings": settings}

    def index(self) -> Json:
        names = ("projects", "users", "people", "patches", "covers", "series", "events", "bundles")
        return {name: f"{self.api}/{name}/" for name in names}
