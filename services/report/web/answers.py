"""What the reading API answers, as far as its shape is promised: the names on top. Rows grow."""

from datetime import date, datetime
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


class Grid(BaseModel):
    """Checks in rows; `columns` are the numbers of patches, 0 the series. `told` are cells that are no success."""

    columns: list[int]
    titles: dict[str, str]
    rows: list[Row]
    told: list[Row]
    counts: dict[str, int]
    open: bool


class Series(BaseModel):
    series: Row
    patches: list[Row]
    versions: list[Row]
    blame: Row | None
    applied: list[Row]
    verdicts: list[Row]
    branches: list[Row]
    runs: list[Row]
    posts: list[Row]
    orders: list[Row]
    sentence: str
    public_url: str
    grid: Grid
    queue: list[Row]
    recheck: bool


class Check(BaseModel):
    """`cell` is what stands, `report` the document of what was found, `along` the same check of other patches."""

    series: Row
    context: str
    patch: int
    patch_title: str
    cell: Row
    report: Row | None
    files: list[Row]
    run: Row | None
    recheck: bool
    along: list[Row]


class Run(BaseModel):
    run: Row
    word: str
    counts_for_verdict: bool
    checks: list[Row]
    tests: list[Row]
    known: dict[str, Row]
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


class Flakes(BaseModel):
    """Rows are tests of labs; the `weeks` of each are in the order of `weeks`, the Mondays, the newest first."""

    filters: Row
    weeks: list[date]
    rows: list[Row]
    cut_off: bool
    labs: list[Row]
    streams: list[str]


class Matrix(BaseModel):
    """Rows are tests of labs; the `cells` of each are in the order of `branches`, the newest first."""

    filters: Row
    branches: list[Row]
    rows: list[Row]
    cut_off: bool
    query: str
    labs: list[Row]
    streams: list[str]


class History(BaseModel):
    """`labs` are those that run the test, failing ones first, each with its outcomes, the newest first."""

    filters: Row
    weeks: list[date]
    labs: list[Row]
    failing: int
    streams: list[str]
    sentence: str


class Crashes(BaseModel):
    crashes: list[Row]
    days: int


class Crash(BaseModel):
    title: str
    counts: Row
    seen: list[Row]
    most: int


class Compare(BaseModel):
    """`change`, of a row: broke, mended, came, went, flakes, steady or other."""

    after: str
    before: str
    lab: str
    other: str
    trees: list[Row]
    series: Row | None
    rows: list[Row]
    labs: list[str]
    older: str | None
    cut_off: bool
    sentence: str


class Mine(BaseModel):
    """`new`, of a series: something was said of it since `since`."""

    who: str
    delegate: str
    state: str
    since: datetime | None
    now: datetime
    series: list[Row]
    delegates: list[Row]


class Remotes(BaseModel):
    remotes: list[Row]
    sentence: str


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
    checks: Row
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
