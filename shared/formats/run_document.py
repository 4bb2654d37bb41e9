"""Our own document of a run: what a lab posts, one run whole, a batch of its cases, or the checks of one series.

Answers with a valid document, or with every fault of it (`Faulty`), each with its place and what is right. Refuses to
know whether the branch, the series and the sender are real. `run_model` has the shape and the limits.

Theory of operation. The bytes are scanned for what pydantic would forgive or choke on; pydantic goes over them once;
what holds between values is checked over whole columns. The good way has no step in Python for a single case, and is
done before a fault is looked for.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice
from typing import TypeVar

from pydantic import ValidationError
from pydantic_core import to_json

from shared.formats.bounded import UNPACKED, read_json, scan, tally
from shared.formats.faults import FAULTS_KEPT, Fault, Faulty, pointer, too_large
from shared.formats.run_columns import Columns, columns, to_cases
from shared.formats.run_faults import find_faults
from shared.formats.run_model import CASES, DEVICE, NAME, Batch, RunDocument
from shared.model.results import Case

__all__ = [
    "Batch",
    "Columns",
    "RunDocument",
    "about_times",
    "cases",
    "columns",
    "read",
    "read_batch",
    "read_cases",
    "read_run",
]

SLACK = timedelta(minutes=5)
"""How far a lab's clock may be ahead of ours."""

_FIRST_YEAR = 2000
_D = TypeVar("_D", bound=Batch)


def read(data: bytes, now: datetime) -> RunDocument:
    """The document of a whole run. Raises Faulty."""
    return read_run(data, now)[0]


def read_run(data: bytes, now: datetime) -> tuple[RunDocument, Columns]:
    """The same with its cases in columns, which are made in any case. Raises Faulty."""
    document, flat = _parse(data, RunDocument)
    if found := tuple(_about_run(document, now)):
        raise Faulty(*found)
    return document, flat


def read_batch(data: bytes) -> Batch:
    """The document of some cases of an open run. Raises Faulty."""
    return _parse(data, Batch)[0]


def read_cases(data: bytes) -> Columns:
    """The same in columns. Raises Faulty."""
    return _parse(data, Batch)[1]


def cases(document: Batch) -> list[Case]:
    """The cases as values, each test before its subtests."""
    return list(to_cases(columns(document)))


def _parse(data: bytes, kind: type[_D]) -> tuple[_D, Columns]:
    if len(data) > UNPACKED:
        raise too_large(UNPACKED)
    keys = scan(data)
    try:
        # Unknown keys are found by their number: as errors, a million of them would be a GB.
        document = kind.model_validate_json(data, extra="ignore")
    except ValidationError as error:
        raise find_faults(data, kind) from error
    if _keys(document) != keys:
        raise find_faults(data, kind)
    if b"\\u0000" in data:
        read_json(data)
    flat = columns(document)
    if found := tuple(islice(_about_cases(document, flat), FAULTS_KEPT)):
        raise Faulty(*found)
    return document, flat


def _keys(document: Batch) -> int:
    """How many keys the document has taken: those that stood twice count once, those nobody knows not at all."""
    keys = len(document.model_fields_set) + sum(map(len, document.cases))
    keys += sum(len(sub) for case in document.cases for sub in case.get("cases", ()))
    if isinstance(document, RunDocument):
        keys += len(document.facts) + sum(map(len, document.checks)) + tally({"device": document.device}) - 1
    return keys


def _about_cases(document: Batch, flat: Columns) -> Iterator[Fault]:
    if len(flat) > CASES:
        yield Fault("/cases", f"should have at most {CASES} cases, subtests included, and not {len(flat)}")
        return
    if any(_too_long(name) for name in {*flat.group, *flat.test, *flat.subtest}):
        yield from _long_names(document)
    keys = list(zip(flat.group, flat.test, flat.subtest, flat.attempt, strict=True))
    if len(set(keys)) < len(keys):
        yield from _repeats(document, keys)


def _too_long(name: str) -> bool:
    return not name.isascii() and len(name.encode()) > NAME


def _long_names(document: Batch) -> Iterator[Fault]:
    words = f"should have at most {NAME} bytes in UTF-8"
    for path, row in _rows(document):
        yield from (Fault(pointer((*path, key)), words) for key in ("group", "test") if _too_long(row.get(key, "")))


def _repeats(document: Batch, keys: list[tuple[str, str, str, int]]) -> Iterator[Fault]:
    seen = set()
    for key, (path, _) in zip(keys, _rows(document), strict=True):
        if key in seen:
            name = "/".join(part for part in key[:3] if part)
            yield Fault(pointer(path), f"stands here twice: {name}, attempt {key[3]}")
        seen.add(key)


def _rows(document: Batch) -> Iterator[tuple[tuple[str | int, ...], dict[str, str]]]:
    """Each case with its place, in the order of the columns."""
    for index, case in enumerate(document.cases):
        yield ("cases", index), case  # type: ignore[misc]
        for number, sub in enumerate(case.get("cases", ())):
            yield ("cases", index, "cases", number), sub  # type: ignore[misc]


def _about_run(document: RunDocument, now: datetime) -> Iterator[Fault]:
    if document.branch is not None and document.series is not None:
        yield Fault("/series", "a run is on a branch or on a series, not on both")
    if document.branch is None and document.series is None:
        yield Fault("/branch", "is required, or series is")
    yield from about_times(document.started, document.ended, now)
    for key in ("branch", "executor"):
        if _too_long(getattr(document, key) or ""):
            yield Fault(pointer((key,)), f"should have at most {NAME} bytes in UTF-8")
    if document.device is not None and len(to_json(document.device)) > DEVICE:
        yield Fault("/device", f"should have at most {DEVICE} bytes")
    yield from _about_checks(document)


def about_times(started: datetime | None, ended: datetime | None, now: datetime) -> Iterator[Fault]:
    """What is wrong with a lab's times, `now` being ours."""
    for key, when in (("started", started), ("ended", ended)):
        if when is not None and when.year < _FIRST_YEAR:
            yield Fault(pointer((key,)), f"is before {_FIRST_YEAR}")
        elif when is not None and when > now + SLACK:
            yield Fault(pointer((key,)), f"is in the future: it is {now.isoformat(timespec='seconds')} here")
    if started is not None and ended is not None and ended < started:
        yield Fault("/ended", "is before started")


def _about_checks(document: RunDocument) -> Iterator[Fault]:
    if document.checks and document.series is None:
        yield Fault("/checks", "only a series has checks")
    seen = set()
    for index, check in enumerate(document.checks):
        key = (check["context"], check.get("patch"))
        if key in seen:
            yield Fault(pointer(("checks", index)), "a second check of this context on the same patch")
        if _too_long(check["context"]):
            yield Fault(pointer(("checks", index, "context")), f"should have at most {NAME} bytes in UTF-8")
        seen.add(key)
