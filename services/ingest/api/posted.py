"""A whole run as it was posted, in whatever format: read from body and query, checked, its cases in columns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter, ValidationError

from shared.formats import foreign, run_document
from shared.formats.faults import Fault, Faulty
from shared.formats.reported import Reported
from shared.formats.run_columns import Columns, to_columns
from shared.formats.run_model import Check, Link, RunDocument, Time

OURS = "ours"
FORMATS = (OURS, *foreign.FORMATS)
BY_TYPE = {
    "application/json": OURS, "application/xml": "junit", "text/xml": "junit", "text/plain": "ktap",
}  # fmt: skip

FACTS = ("kernel_commit", "suite_commit", "config_digest", "toolchain", "image")


@dataclass(frozen=True, slots=True)
class Posted:
    """A run that came whole. `warnings` say what was odd in it and was taken all the same."""

    executor: str
    columns: Columns
    branch: str | None = None
    series: str | None = None
    attempt: int = 0
    started: datetime | None = None
    ended: datetime | None = None
    link: str = ""
    device: Mapping[str, Any] | None = None
    facts: Mapping[str, str] = field(default_factory=dict)
    planned: int = 0
    checks: Sequence[Check] = ()
    warnings: tuple[str, ...] = ()


def read(kind: str, data: bytes, query: Mapping[str, Any], now: datetime, most: int) -> Posted:
    """The run in `data`; for formats that do not say it, `query` says on what and by whom. Raises Faulty."""
    if kind == OURS:
        posted = _of_document(*run_document.read_run(data, now))
    else:
        posted = of_reported(foreign.read(kind, data), query, now)
    if len(posted.columns) > most:
        raise Faulty(Fault("/cases", f"more than {most} cases, subtests included"), status=413)
    return posted


def _of_document(document: RunDocument, rows: Columns) -> Posted:
    return Posted(
        document.executor, rows, document.branch, document.series, document.attempt, document.started,
        document.ended, document.link or "", document.device,
        {key: str(value) for key, value in document.facts.items()}, document.planned or 0, document.checks,
    )  # fmt: skip


def of_reported(reported: Reported, query: Mapping[str, Any], now: datetime) -> Posted:
    """What another format told, with what the query says; the query goes before. Raises Faulty."""
    r = reported
    series = _text(query, "series") or None
    branch = None if series else (_text(query, "branch") or r.branch or None)
    posted = Posted(
        _text(query, "executor") or r.executor, to_columns(r.cases), branch, series, int(query.get("attempt") or 0),
        _read(Time, query, "started") or r.started, _read(Time, query, "ended") or r.ended,
        _read(Link, query, "link") or r.link, _device(r),
        {key: value for key, value in r.facts.items() if key in FACTS}, warnings=r.warnings,
    )  # fmt: skip
    if faults := [*_missing(posted), *run_document.about_times(posted.started, posted.ended, now)]:
        raise Faulty(*faults)
    return posted


def _missing(posted: Posted) -> list[Fault]:
    found = [] if posted.executor else [Fault("/executor", "is required: ?executor= in the query")]
    if not (posted.branch or posted.series):
        found.append(Fault("/branch", "is required: ?branch= in the query, or ?series="))
    return found


def _text(query: Mapping[str, Any], key: str) -> str:
    return str(query.get(key) or "")


def _read(kind: Any, query: Mapping[str, Any], key: str) -> Any:
    if not (text := _text(query, key)):
        return None
    try:
        return TypeAdapter(kind).validate_python(text)
    except ValidationError:
        what = "an http(s) address" if kind is Link else "a time, as in 2026-08-20T12:05:01Z"
        raise Faulty(Fault(f"/{key}", f"should be {what}")) from None


def _device(reported: Reported) -> dict[str, Any] | None:
    """What is known of the machine, with what else was told and has no place of its own."""
    told = dict(reported.device or {})
    told |= {key: value for key, value in reported.facts.items() if key not in FACTS}
    if reported.metrics:
        told["metrics"] = dict(reported.metrics)
    if reported.job:
        told["job"] = reported.job
    return told or None
