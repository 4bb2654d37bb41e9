"""What the tables say of remotes, put together for whoever judges or shows them. Decides nothing by itself."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.report.remotes.standing import Attempted, Judged, behind, judge
from shared.db.pool import Connection, Pool
from shared.db.statements import load
from shared.settings import Settings

SQL = load("services.report.remotes")

LOOK_BACK = 20
"""Branches of a stream that are looked at."""
TIMEOUT = 10


@dataclass(frozen=True, slots=True)
class Stand:
    """How an executor stands on a stream. `behind` is by how many branches, None for more than are looked at."""

    project: str
    stream: str
    remote: str
    executor: str
    judged: Judged
    behind: int | None
    newest: str

    @property
    def key(self) -> tuple[str, str, str]:
        return self.remote, self.executor, self.stream


async def stands(conn: Connection | Pool, settings: Settings, now: datetime) -> list[Stand]:
    """Of each executor that is expected on a stream, how it stands there."""
    names = list(_streams(settings))
    cuts = await conn.fetch(
        SQL["newest_cuts"], [p for p, _ in names], [s for _, s in names], LOOK_BACK, timeout=TIMEOUT
    )
    runs = await conn.fetch(SQL["runs_on"], [cut["id"] for cut in cuts], timeout=TIMEOUT)
    made = {(run["cut_id"], run["remote"], run["executor"]): run for run in runs}
    by_stream: dict[tuple[str, str], list[Any]] = defaultdict(list)
    for cut in cuts:
        by_stream[cut["project"], cut["stream"]].append(cut)
    return [
        _stand(settings, project, stream, by_stream[project, stream], pair, made, now)
        for project, stream in names
        for pair in settings.expected_on(stream)
    ]


def _streams(settings: Settings) -> Iterator[tuple[str, str]]:
    return ((p, s) for p, project in settings.projects.items() for s in project.streams)


def _stand(
    settings: Settings,
    project: str,
    stream: str,
    cuts: Sequence[Any],
    pair: tuple[str, str],
    made: Mapping[tuple[int, str, str], Any],
    now: datetime,
) -> Stand:
    expect = settings.projects[project].streams[stream].expect
    tried = [_tried(cut, made.get((cut["id"], *pair)), cut["announced"] + expect) for cut in cuts]
    newest = cuts[0]["name"] if cuts else ""
    return Stand(project, stream, *pair, judge(tried, now), behind(tried), newest)


def _tried(cut: Any, run: Any, due: datetime) -> Attempted:
    if run is None:
        return Attempted(cut["name"], due)
    return Attempted(cut["name"], run["expected_end"] or due, run["state"])
