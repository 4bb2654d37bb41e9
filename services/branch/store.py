"""The room's tables, as typed verbs over queries.sql. It decides nothing."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.branch.choice import Attempt
from services.branch.gate import Gate
from services.branch.select import Candidate, Order, Selection
from shared.db.pool import Connection, Pool, Record
from shared.db.statements import load
from shared.model.ids import CutId, SeriesId, Sha
from shared.model.results import Purpose

SQL = load("services.branch")


@dataclass(frozen=True, slots=True)
class Series:
    """A series as ingest has it: what branch needs to settle it. `mbox` is a blob's sha256, or empty."""

    id: SeriesId
    project: str
    revision: int
    message_id: str
    title: str
    state: str
    trees: tuple[str, ...]
    marked: bool
    pull_url: str
    mbox: str
    patch_ids: tuple[str, ...]
    fixes: tuple[str, ...]
    arrived: datetime


@dataclass(frozen=True, slots=True)
class Settled:
    """How one revision of a series was settled; the row of branch.applied."""

    outcome: str
    reason: str
    tree: str = ""
    tree_reason: str = ""
    base: str = ""
    head: str = ""
    commits: tuple[str, ...] = ()
    ref: str = ""
    public_url: str = ""
    already: bool = False
    patch_number: int | None = None
    files: tuple[str, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    log: str = ""

    @property
    def applied(self) -> bool:
        return self.outcome == "applied"


@dataclass(frozen=True, slots=True)
class Cut:
    """A cut at its recorded step. `heads` are the trees' heads that it is made of, `planned` its commits' time."""

    id: CutId
    project: str
    stream: str
    slot: datetime
    purpose: Purpose
    name: str
    state: str
    tree: str
    base: Sha
    commit: Sha
    heads: Mapping[str, Sha]
    public_url: str
    planned: datetime

    @property
    def ref(self) -> str:
        """What keeps its commit in our store."""
        return f"refs/netci/cuts/{self.id}"


@dataclass(frozen=True, slots=True)
class Taken:
    """A series that a cut took: what is needed to put it on the branch. `head` is a pull request's."""

    id: SeriesId
    message_id: str
    title: str
    mbox: str
    pull_url: str
    head: str
    base: str
    patch_ids: tuple[str, ...]
    files: frozenset[str]


@dataclass(frozen=True, slots=True)
class Request:
    """A cut that a person asked for. `message_ids` None takes what is pending."""

    id: int
    message_ids: tuple[str, ...] | None
    by: str
    why: str
    asked: datetime


async def heads(conn: Connection | Pool, project: str) -> dict[str, Sha]:
    """The fetched heads of a project's trees."""
    return {row["name"]: Sha(row["head"]) for row in await conn.fetch(SQL["tree_heads"], project)}


async def series(conn: Connection | Pool, series_id: SeriesId) -> Series | None:
    row = await conn.fetchrow(SQL["series"], series_id)
    if row is None:
        return None
    return Series(
        id=series_id,
        project=row["project"],
        revision=row["revision"],
        message_id=row["message_id"],
        title=row["title"],
        state=row["state"],
        trees=tuple(row["trees"]),
        marked=row["marked"],
        pull_url=row["pull_url"],
        mbox=row["mbox"] or "",
        patch_ids=tuple(row["patch_ids"]),
        fixes=tuple(row["fixes"]),
        arrived=row["arrived"],
    )


async def still_wanted(conn: Connection, one: Series) -> bool:
    """Whether the series is as it was when we began: active, and not grown."""
    row = await conn.fetchrow(SQL["series_now"], one.id)
    return row is not None and row["state"] == "active" and row["revision"] == one.revision


async def record_settled(conn: Connection, one: Series, how: Settled) -> bool:
    """Write how it was settled; False if it was applied and published before, which stands."""
    published = not how.applied
    attempts = [attempt.as_json() for attempt in how.attempts]
    done = await conn.fetchval(
        SQL["record_applied"], one.id, one.revision, one.project, how.outcome, how.tree, how.tree_reason,
        how.base, how.head, list(how.commits), how.ref, how.public_url, how.already, how.patch_number,
        list(how.files), how.reason, how.log or None, one.message_id, attempts, bool(one.pull_url), published,
    )  # fmt: skip
    return done is not None


async def candidates(
    conn: Connection, project: str, stream: str, named: Collection[SeriesId] = (), gates: Collection[str] = ()
) -> list[Candidate]:
    rows = await conn.fetch(SQL["candidates"], project, stream, list(named), list(gates))
    return [_candidate(row) for row in rows]


def _candidate(row: Record) -> Candidate:
    delegates = tuple(dict.fromkeys(d for d in (row["delegate"], *row["delegates"]) if d))
    return Candidate(
        id=SeriesId(row["id"]),
        revision=row["revision"],
        message_id=row["message_id"],
        title=row["title"],
        arrived=row["arrived"],
        posted=row["external_id"],
        state=row["state"],
        reason=row["reason"],
        superseded_by=row["superseded_by"],
        pull=row["pull"],
        trees=tuple(row["trees"]),
        tree=row["tree"],
        settled=None if row["outcome"] is None else row["outcome"] == "applied",
        settled_reason=row["settled_reason"],
        delegates=delegates,
        patches=tuple(row["numbers"]),
        gates=_gates(row["said"], row["asked"]),
        order=Order(row["verb"], row["why"], row["by"]) if row["verb"] else None,
    )


def _gates(said: Sequence[tuple[str, int, str, str]], asked: Sequence[tuple[str, int, str, str]]) -> dict[str, Gate]:
    """Both are lists of context, patch, state and text."""
    words: dict[str, tuple[dict[int, tuple[str, str]], dict[int, tuple[str, str]]]] = {}
    for place, rows in enumerate((said, asked)):
        for context, patch, state, text in rows:
            words.setdefault(context, ({}, {}))[place][patch] = (state, text)
    return {context: Gate(*both) for context, both in words.items()}


def _cut(row: Record) -> Cut:
    return Cut(
        id=CutId(row["id"]),
        project=row["project"],
        stream=row["stream"],
        slot=row["slot"],
        purpose=Purpose(row["purpose"]),
        name=row["name"],
        state=row["state"],
        tree=row["tree"],
        base=Sha(row["base"]),
        commit=Sha(row["commit"]),
        heads={name: Sha(sha) for name, sha in row["heads"].items()},
        public_url=row["public_url"],
        planned=row["planned"],
    )


async def open_cut(conn: Connection | Pool, project: str, stream: str) -> Cut | None:
    """The oldest cut of the stream that is not announced yet."""
    row = await conn.fetchrow(SQL["open_cut"], project, stream)
    return _cut(row) if row else None


async def cut(conn: Connection | Pool, cut_id: CutId) -> Cut:
    row = await conn.fetchrow(SQL["cut"], cut_id)
    assert row is not None, f"no cut {cut_id}"
    return _cut(row)


async def taken(conn: Connection | Pool, cut_id: CutId) -> list[Taken]:
    return [
        Taken(
            id=SeriesId(row["series_id"]),
            message_id=row["message_id"],
            title=row["title"],
            mbox=row["mbox"] or "",
            pull_url=row["pull_url"],
            head=row["head"],
            base=row["base"],
            patch_ids=tuple(row["patch_ids"]),
            files=frozenset(row["files"]),
        )
        for row in await conn.fetch(SQL["taken"], cut_id)
    ]


async def oldest_request(conn: Connection | Pool, project: str, stream: str) -> Request | None:
    row = await conn.fetchrow(SQL["oldest_request"], project, stream)
    if row is None:
        return None
    names = None if row["message_ids"] is None else tuple(row["message_ids"])
    return Request(row["id"], names, row["by"], row["why"], row["asked"])


async def record_selection(conn: Connection, cut_id: CutId, pending: Sequence[Candidate], chosen: Selection) -> None:
    """Every decision of a cut with its reason, the taken in the order in which they go on."""
    revisions = {one.id: one.revision for one in pending}
    rows: list[tuple[Any, ...]] = []
    for decision, reasons in (("take", chosen.take), ("leave", chosen.leave)):
        for series_id, reason in reasons.items():
            rows.append((cut_id, series_id, revisions[series_id], len(rows), decision, reason.rule, reason.text))
    await conn.executemany(SQL["record_selection"], rows)


async def find_series(conn: Connection | Pool, message_id: str, project: str = "") -> list[Record]:
    """The series that a message id names: its own, its cover letter's, or one of its patches'; newest first.

    A mail that went to two lists is a series in two projects; those of `project` come first.
    """
    rows = await conn.fetch(SQL["find_series"], message_id.strip().strip("<>"))
    return sorted(rows, key=lambda row: row["project"] != project)
