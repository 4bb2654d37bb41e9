"""Series as their authors would send them: mails made by git from commits on the practice tree.

One seed is one world: which tables are touched, by whom, in which order the series come. Roles never change:
one is good, one flaky, one breaks a test, one conflicts with the good one, one is superseded by its second
version. Answers with bytes and ids. Refuses to know what a CI should make of them beyond the role.
"""

import random
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.header import Header
from email.utils import format_datetime
from enum import StrEnum
from pathlib import Path

from shared.model.mails import Person
from shared.practice.people import LIST, LIST_ID, MAINTAINER, PEOPLE
from shared.practice.tree import Commit, PracticeTree, add, build, git
from shared.practice.tree_files import Row, Topic, topics

POSTED = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)
"""When the first series is sent, unless told otherwise."""


class Role(StrEnum):
    """What a series is there for."""

    GOOD = "good"
    FLAKY = "flaky"
    BREAKING = "breaking"
    CONFLICTING = "conflicting"
    OLD = "old"
    NEW = "new"


@dataclass(frozen=True, slots=True)
class PracticeSeries:
    """A series as it is sent.

    `mails` has the cover letter first, if `cover` says that there is one, then the patches in order. `message_ids`
    (without brackets) and `titles` (without the prefix) go along with `mails`. `breaks` and `flaky` name the
    selftests (programs) that fail, or fail at the first try, with this series applied.
    """

    name: str
    role: Role
    tree: str
    version: int
    title: str
    author: Person
    date: datetime
    mails: tuple[bytes, ...]
    message_ids: tuple[str, ...]
    titles: tuple[str, ...]
    cover: bool
    breaks: tuple[str, ...] = ()
    flaky: tuple[str, ...] = ()

    @property
    def patches(self) -> int:
        """How many patches it has, the cover letter not counted."""
        return len(self.mails) - self.cover


@dataclass(frozen=True, slots=True)
class World:
    """The tree, and the series in the order in which they are posted."""

    tree: PracticeTree
    series: tuple[PracticeSeries, ...]

    def by_role(self, role: Role) -> PracticeSeries:
        return next(one for one in self.series if one.role is role)


@dataclass(frozen=True, slots=True)
class _Plan:
    """A series before it is written down: what each patch changes, and what that does to the tests."""

    role: Role
    title: str
    patches: tuple[tuple[str, str, Mapping[str, str]], ...]
    version: int = 1
    breaks: tuple[str, ...] = ()
    flaky: tuple[str, ...] = ()
    blurb: str = ""
    changes: str = ""


def write(folder: Path, seed: int = 0, at: datetime = POSTED, wave: int = 0) -> World:
    """Make the tree in ``folder/tree.git`` and the series of `seed`, the first of them sent at `at`.

    Another `wave` is the same roles on the same tree with other changes, by people who have sent nothing before.
    """
    tree = build(folder / "tree.git", seed)
    author = build(folder / "author.git", seed)
    chance = random.Random(f"series {seed} {wave}" if wave else f"series {seed}")
    people = [_of_wave(person, wave) for person in chance.sample(PEOPLE, 5)]
    authors = dict(zip(Role, [*people, people[-1]], strict=True))
    series = []
    for number, plan in enumerate(_ordered(chance, _plans(chance, topics(seed)))):
        date = at + timedelta(minutes=7 * number, seconds=chance.randrange(60))
        series.append(_posted(author, plan, authors[plan.role], date))
    return World(tree, tuple(series))


def _of_wave(person: Person, wave: int) -> Person:
    name, _, domain = person.email.partition("@")
    return replace(person, email=f"{name}{wave}@{domain}") if wave else person


def _ordered(chance: random.Random, plans: Sequence[_Plan]) -> list[_Plan]:
    """Any order in which the rival comes after the good one and the second version after the first."""
    order = list(plans)
    chance.shuffle(order)
    for first, second in ((Role.GOOD, Role.CONFLICTING), (Role.OLD, Role.NEW)):
        where = sorted(at for at, plan in enumerate(order) if plan.role in (first, second))
        pair = sorted((order[at] for at in where), key=lambda plan: plan.role is second)
        for at, plan in zip(where, pair, strict=True):
            order[at] = plan
    return order


def _plans(chance: random.Random, made: Sequence[Topic]) -> tuple[_Plan, ...]:
    """The tables are dealt out anew by each seed; the one tested in Python may be anybody's but the good
    one's.
    """
    good, flaky, broken, versions = chance.sample(list(made), 4)
    if not good.script.endswith(".sh") or not flaky.script.endswith(".sh"):
        python = next(topic for topic in made if topic.script.endswith(".py"))
        good, flaky, broken, versions = _dealt([good, flaky, broken, versions], python)
    old, new = _versions(chance, versions)
    return (_good(chance, good), _flaky(chance, flaky), _breaking(chance, broken), _rival(good), old, new)


def _dealt(deal: list[Topic], python: Topic) -> list[Topic]:
    """Give the Python-tested table to one whose tests need no shell words."""
    at = deal.index(python)
    deal[at], deal[3] = deal[3], deal[at]
    return deal


def _good(chance: random.Random, topic: Topic) -> _Plan:
    name, new = topic.name, Row("idle", 2, chance.choice((16, 24, 32)))
    raised = replace(topic, total=topic.total + 64)
    grown = raised.with_row(new)
    checked = replace(grown, checks_floor=True)
    return _Plan(
        Role.GOOD, f"{_area(topic)}: {name}: a class for idle links",
        (
            (f"{_area(topic)}: {name}: raise the total", "There is room for one more class.", _diff(topic, raised)),
            (f"{_area(topic)}: {name}: add a class for idle links", "They were counted as bulk.", _diff(raised, grown)),
            (f"selftests: net: {name}: no class starves", "A burst below two is none.", _diff(grown, checked)),
        ),
        blurb="Idle links have no class of their own and share one that is made for load.\nGive them one.",
    )  # fmt: skip


def _flaky(chance: random.Random, topic: Topic) -> _Plan:
    slow = replace(topic, settle=chance.choice((150, 250, 400)))
    title = f"{_area(topic)}: {topic.name}: wait for slow transceivers"
    body = "Some of them take their time. Größere Module brauchen länger."
    return _Plan(Role.FLAKY, title, ((title, body, _diff(topic, slow)),), flaky=(topic.program,))


def _breaking(chance: random.Random, topic: Topic) -> _Plan:
    at = chance.randrange(len(topic.rows))
    row = topic.rows[at]
    noted = replace(topic, notes=("Bursts follow the longest frame.",))
    broken = noted.with_changed(at, replace(row, burst=row.budget + chance.choice((1, 8))))
    area, name = _area(topic), topic.name
    return _Plan(
        Role.BREAKING, f"{area}: {name}: longer bursts",
        (
            (f"docs: {name}: say what bursts follow", "It was asked on the list.", _diff(topic, noted)),
            (f"{area}: {name}: let {row.name} burst longer", "Measured with jumbo frames.", _diff(noted, broken)),
        ),
        breaks=(topic.program,),
        blurb="Jumbo frames do not fit into the bursts we allow.",
    )  # fmt: skip


def _rival(topic: Topic) -> _Plan:
    title = f"{_area(topic)}: {topic.name}: lower the total"
    lower = replace(topic, total=topic.total - 16)
    return _Plan(Role.CONFLICTING, title, ((title, "Nobody uses all of it.", _diff(topic, lower)),))


def _versions(chance: random.Random, topic: Topic) -> tuple[_Plan, _Plan]:
    at = chance.randrange(len(topic.rows))
    row = topic.rows[at]
    title = f"{_area(topic)}: {topic.name}: more budget for {row.name}"
    first = topic.with_changed(at, replace(row, budget=row.budget + 40))
    second = topic.with_changed(at, replace(row, budget=row.budget + 20))
    body = f"{row.name} runs dry under load."
    changes = "v2:\n - twenty is enough\nv1: more than was needed"
    old = _Plan(Role.OLD, title, ((title, body, _diff(topic, first)),))
    return old, _Plan(Role.NEW, title, ((title, body, _diff(topic, second)),), version=2, changes=changes)


def _area(topic: Topic) -> str:
    return {"drivers/net": "net: drv", "net/core": "net: core", "net/ipv4": "ipv4", "net/sched": "net: sched"}[
        topic.place
    ]


def _diff(before: Topic, after: Topic) -> dict[str, str]:
    old = before.files()
    return {path: text for path, text in after.files().items() if old[path] != text}


def _posted(tree: PracticeTree, plan: _Plan, author: Person, date: datetime) -> PracticeSeries:
    """Commit the patches in the author's repository and send what ``git format-patch`` makes of them."""
    ref = f"refs/heads/{plan.role}"
    commits = [
        Commit(title, f"{body}\n\nSigned-off-by: {author}", files, author, date) for title, body, files in plan.patches
    ]
    add(tree.path, ref, tree.heads["main"], commits)
    texts = _formatted(tree, ref, plan)
    ids = _message_ids(author, date, len(texts) + bool(plan.blurb))
    mails = [_cover(tree, ref, plan, author, date, ids[0])] if plan.blurb else []
    for text in texts:
        number = len(mails)
        mails.append(_sent(text, ids[number], ids[0] if number else "", date + timedelta(seconds=number)))
    titles = ((plan.title,) if plan.blurb else ()) + tuple(title for title, _, _ in plan.patches)
    return PracticeSeries(
        f"{plan.role}-v{plan.version}", plan.role, "net-next", plan.version, plan.title, author, date,
        tuple(mails), tuple(ids), titles, bool(plan.blurb), plan.breaks, plan.flaky,
    )  # fmt: skip


def _formatted(tree: PracticeTree, ref: str, plan: _Plan) -> list[bytes]:
    version = ["-v", str(plan.version)] if plan.version > 1 else []
    with tempfile.TemporaryDirectory(prefix="netci-mails-") as out:
        git(
            tree.path, "format-patch", "--quiet", "--subject-prefix=PATCH net-next", "--signature=practice",
            "--encode-email-headers", "--no-thread", "-o", out, *version, f"{tree.heads['main']}..{ref}",
        )  # fmt: skip
        texts = [path.read_bytes() for path in sorted(Path(out).iterdir())]
    if plan.changes:
        texts[0] = texts[0].replace(b"\n---\n", b"\n---\n" + plan.changes.encode() + b"\n\n", 1)
    return texts


def _message_ids(author: Person, date: datetime, count: int) -> list[str]:
    """As git send-email makes them: one stem for the series, a number for each mail."""
    stem = f"{date:%Y%m%d%H%M%S}.{10_000 + int(date.timestamp()) % 50_000}"
    return [f"{stem}-{number}-{author.email}" for number in range(1, count + 1)]


def _sent(text: bytes, message_id: str, parent: str, date: datetime) -> bytes:
    """A formatted patch with the headers that sending adds."""
    head, body = text.split(b"\n\n", 1)
    # The first line is git's mark for files; every mail server drops it.
    lines = [line for line in head.split(b"\n")[1:] if not line.startswith((b"MIME", b"Content-", b"Date:"))]
    return b"\n".join([*lines, *_headers(message_id, parent, date)]) + b"\n\n" + body


def _headers(message_id: str, parent: str, date: datetime) -> list[bytes]:
    lines = [
        f"To: {LIST.email}", f"Cc: {MAINTAINER}", f"Date: {format_datetime(date)}",
        f"Message-Id: <{message_id}>", "X-Mailer: git-send-email 2.43.0",
    ]  # fmt: skip
    if parent:
        lines += [f"In-Reply-To: <{parent}>", f"References: <{parent}>"]
    lines += [
        "MIME-Version: 1.0", "Content-Type: text/plain; charset=UTF-8", "Content-Transfer-Encoding: 8bit",
        f"List-Id: <{LIST_ID}>",
    ]  # fmt: skip
    return [line.encode() for line in lines]


def _cover(tree: PracticeTree, ref: str, plan: _Plan, author: Person, date: datetime, message_id: str) -> bytes:
    count = len(plan.patches)
    version = f" v{plan.version}" if plan.version > 1 else ""
    subject = f"[PATCH net-next{version} 0/{count}] {plan.title}"
    stat = git(tree.path, "diff", "--stat", "--summary", tree.heads["main"], ref).decode()
    titles = "".join(f"  {title}\n" for title, _, _ in plan.patches)
    body = f"{plan.blurb}\n\n{author.name} ({count}):\n{titles}\n{stat}\n-- \npractice\n\n"
    sender = f"{Header(author.name, 'utf-8').encode()} <{author.email}>" if not author.name.isascii() else str(author)
    lines = [f"From: {sender}".encode(), f"Subject: {subject}".encode(), *_headers(message_id, "", date)]
    return b"\n".join(lines) + b"\n\n" + body.encode()
