"""The memory of a practice Patchwork: projects, people and what mails made of them, with lookups.

It holds records and writes events; how a mail becomes a patch is `intake`, what a client may change is `changes`, how
it all looks on the wire is `views`.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from shared.errors import Missing, Refused
from shared.practice.patchwork import intake, letter
from shared.practice.patchwork.clock import Ticking, utc_now
from shared.practice.patchwork.faults import EventFaults
from shared.practice.patchwork.records import (
    CHECK_STATES,
    Check,
    Comment,
    Cover,
    Event,
    Patch,
    Person,
    Project,
    Series,
    User,
)

TABLES = ("users", "projects", "people", "patches", "covers", "series", "patch_comments", "cover_comments", "checks")


class Patchwork:
    """Everything one Patchwork server remembers. Not thread-safe; one event loop owns it.

    `clock` gives UTC without zone. `offset` is the server's zone: from 3.2.0 Patchwork writes events and checks in
    local time.
    """

    def __init__(
        self, clock: Callable[[], datetime] = utc_now, offset: timedelta = timedelta(0), delay: int = 20
    ) -> None:
        self.now = Ticking(clock, offset)
        self.delay = timedelta(minutes=delay)
        """How far apart the mails of one unthreaded series may be dated."""
        self.users: dict[int, User] = {}
        self.projects: dict[int, Project] = {}
        self.people: dict[int, Person] = {}
        self.patches: dict[int, Patch] = {}
        self.covers: dict[int, Cover] = {}
        self.series: dict[int, Series] = {}
        self.patch_comments: dict[int, Comment] = {}
        self.cover_comments: dict[int, Comment] = {}
        self.checks: dict[int, Check] = {}
        self.events: list[Event] = []
        self.references: dict[tuple[int, str], int] = {}
        """(project, message id) -> series: every id that a patch of the series named when it opened it."""
        self.last_ids: dict[str, int] = defaultdict(int)
        self.faults = EventFaults()
        self._mail_is_late = False
        self.reindex()

    # -- setting up

    def add_user(self, username: str, email: str = "", token: str = "", password: str = "") -> User:
        """A user; the token is derived from the name unless given, so tests and demo can know it."""
        user = User(
            self.next_id("users"),
            username,
            email or f"{username}@example.org",
            token or hashlib.sha1(username.encode()).hexdigest(),
            password or f"{username}-password",
        )
        self.users[user.id] = user
        return user

    def add_project(
        self, link_name: str, *, list_id: str = "", name: str = "", maintainers: Iterable[str] = (), **fields: object
    ) -> Project:
        """A project; without `list_id` it is `LINK_NAME.vger.kernel.org`. `maintainers` are user names.

        Other fields of `Project` may be given by name.
        """
        list_id = list_id or f"{link_name}.vger.kernel.org"
        project = Project(
            self.next_id("projects"),
            link_name,
            name or link_name,
            list_id,
            list_id.replace(".", "@", 1),
            [self.user(username).id for username in maintainers],
            list_archive_url=f"https://lore.kernel.org/{link_name}/",
        )
        for field, value in fields.items():
            setattr(project, field, value)
        self.projects[project.id] = project
        return project

    def add_person(self, name: str | None, email: str, user: str | None = None) -> Person:
        person = Person(self.next_id("people"), name, email, self.user(user).id if user else None)
        self.people[person.id] = person
        self.people_by_email[email.lower()] = person
        return person

    # -- what comes in

    def submit(self, raw: bytes, list_id: str = "") -> Patch | Cover | Comment | None:
        """Take one mail; gives what it became, None when it became nothing (unknown list, no content, hint,
        duplicate, lost reply).

        `list_id` is for mails that carry none. Raises `Refused` for a mail without From, Subject or Message-Id.
        """
        self._mail_is_late = self.faults.next_mail_is_late()
        try:
            return intake.take(self, letter.read(raw), list_id)
        finally:
            self._mail_is_late = False

    def record(self, category: str, project: int, **fields: object) -> None:
        """Write one event, unless a fault loses it."""
        for _ in range(self.faults.copies(category)):
            event = Event(self.next_id("events"), category, project, self.now(), late=self._mail_is_late)
            for name, value in fields.items():
                setattr(event, name, value)
            self.events.append(event)

    def release(self) -> int:
        """End the open transactions: events of late mails appear, with dates in the past. Gives how many."""
        late = [event for event in self.events if event.late]
        for event in late:
            event.late = False
        return len(late)

    def delete_series(self, series_id: int) -> None:
        """What an admin does: the series, its patches and cover go, with every event and check of them, and no
        event tells.
        """
        series = self.series.pop(series_id)
        patches = set(series.patches)
        self.patches = {k: v for k, v in self.patches.items() if k not in patches}
        self.covers = {k: v for k, v in self.covers.items() if k != series.cover}
        self.checks = {k: v for k, v in self.checks.items() if v.patch not in patches}
        self.patch_comments = {k: v for k, v in self.patch_comments.items() if v.patch not in patches}
        self.cover_comments = {
            k: v for k, v in self.cover_comments.items() if v.cover is None or v.cover != series.cover
        }
        self.events = [e for e in self.events if not _about(e, series_id, patches, series.cover)]
        self.references = {k: v for k, v in self.references.items() if v != series_id}
        self.reindex()

    # -- lookups

    def next_id(self, table: str) -> int:
        self.last_ids[table] += 1
        return self.last_ids[table]

    def user(self, name: str) -> User:
        """The user of that name. Raises `Missing`."""
        for user in self.users.values():
            if user.username == name:
                return user
        raise Missing(f"no user {name}")

    def project(self, key: str | int) -> Project:
        """By link name or id. Raises `Missing`."""
        for project in self.projects.values():
            if project.link_name == key or str(project.id) == str(key):
                return project
        raise Missing(f"no project {key}")

    def project_of_list(self, list_ids: Iterable[str]) -> Project | None:
        known = {project.list_id: project for project in self.projects.values()}
        return next((known[list_id] for list_id in list_ids if list_id in known), None)

    def maintains(self, user: User, project_id: int) -> bool:
        return user.id in self.projects[project_id].maintainers

    def patch_of(self, msgid: str, project: str | int) -> Patch:
        """The patch of a message id. Raises `Missing`."""
        patch = self.patches_by_msgid.get((self.project(project).id, msgid))
        if patch is None:
            raise Missing(f"no patch {msgid}")
        return patch

    def person(self, name: str | None, email: str) -> Person:
        """The sender, made if new; the latest name given is the one kept."""
        person = self.people_by_email.get(email.lower()) or self.add_person(name, email)
        if name and name != person.name:
            person.name = name
        return person

    def checks_of(self, patch_id: int) -> list[Check]:
        return self.checks_by_patch.get(patch_id, [])

    def combined(self, patch_id: int) -> str:
        """The one state of all checks: newest of each (user, context), then fail, warning, pending, success; none
        is pending.
        """
        newest = {(check.user, check.context): check.state for check in self.checks_of(patch_id)}
        states = set(newest.values())
        return next((state for state in ("fail", "warning", "pending", "success") if state in states), "pending")

    def received(self, series: Series) -> list[Patch]:
        """Its patches in order of arrival."""
        return [self.patches[patch] for patch in series.patches]

    def visible_events(self) -> list[Event]:
        return [event for event in self.events if not event.late]

    # -- changes that also write indexes and events

    def add_check(self, check: Check) -> None:
        """Raises `Refused` for a state that Patchwork does not have."""
        if check.state not in CHECK_STATES:
            raise Refused(f"no check state {check.state}")
        self.checks[check.id] = check
        self.checks_by_patch[check.patch].append(check)
        self.record(
            "check-created", self.patches[check.patch].project, actor=check.user, patch=check.patch, check=check.id
        )

    def reindex(self) -> None:
        """Make the indexes anew from the tables."""
        self.people_by_email = {person.email.lower(): person for person in self.people.values()}
        self.patches_by_msgid = {(p.project, p.msgid): p for p in self.patches.values()}
        self.covers_by_msgid = {(c.project, c.msgid): c for c in self.covers.values()}
        self.checks_by_patch: dict[int, list[Check]] = defaultdict(list)
        for check in self.checks.values():
            self.checks_by_patch[check.patch].append(check)
        self.series_by_author: dict[int, list[Series]] = defaultdict(list)
        for series in self.series.values():
            self.series_by_author[series.submitter].append(series)


def _about(event: Event, series: int, patches: set[int], cover: int | None) -> bool:
    return event.series == series or event.patch in patches or (cover is not None and event.cover == cover)
