"""What the reading API answers, as far as its shape is promised: the names on top. Rows grow."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel

Row = dict[str, Any]


class Branches(BaseModel):
    branches: list[Row]
    next: int | None
    project: str
    stream: str


class Branch(BaseModel):
    branch: Row
    taken: list[Row]
    left: list[Row]
    runs: list[Row]
    older: str | None
    newer: str | None


class SeriesList(BaseModel):
    series: list[Row]
    next: int | None
    project: str
    state: str
    projects: list[str]


class Series(BaseModel):
    series: Row
    patches: list[Row]
    versions: list[Row]
    applied: list[Row]
    verdicts: list[Row]
    branches: list[Row]
    runs: list[Row]
    posts: list[Row]
    orders: list[Row]
    sentence: str


class Run(BaseModel):
    run: Row
    word: str
    counts_for_verdict: bool
    tests: list[Row]
    done: int
    cut_off: bool
    artifacts: list[Row]


class Cases(BaseModel):
    run: int
    cases: list[Row]
    next: str | None


class Contest(BaseModel):
    filters: Row
    rows: list[Row]
    next: str
    first: bool
    labs: list[Row]
    streams: list[str]
    query: str


class Remotes(BaseModel):
    remotes: list[Row]


class Remote(BaseModel):
    """`private` is for the remote's owner: what was rejected and why, its tokens, odd runs of its manifest."""

    remote: Row
    executors: list[Row]
    open: list[Row]
    manifest: Row | None
    rejected: Row | None
    webhooks: Row | None
    private: Row | None


class Rejections(BaseModel):
    rejections: list[Row]
    next: int | None


class Status(BaseModel):
    now: datetime
    pauses: list[Row]
    disk: Row
    streams: list[Row]
    runs: list[Row]
    conflicts: list[Row]
    health: list[Row]
    sources: list[Row]
    trees: list[Row]
    hosts: list[Row]
    queues: list[Row]
    work: list[Row]
    processes: list[Row]
    remotes: list[Row]
    posting: dict[str, str]


class Streams(BaseModel):
    streams: list[Row]


class Events(BaseModel):
    """A page of the log. `next` is the cursor to come back with; `gap`: events after the one asked for are gone."""

    next: str
    gap: bool
    oldest: int
    events: list[Row]
