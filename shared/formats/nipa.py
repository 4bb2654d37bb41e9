"""NIPA's files as its remotes publish them: the manifest, the file of a run, and branches.json.

Exact in what it uses, deaf to the rest: unknown keys are no fault. A single entry that makes no sense becomes a warning
and is left out; only a file that is none at all is refused. Writing them is for `nipa_write`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from shared.formats.bounded import read_json
from shared.formats.faults import Faulty, faulty
from shared.formats.reported import (
    NO_GROUP,
    Reported,
    Told,
    crashes_of,
    detail_of,
    link_of,
    name_of,
    seconds_of,
    time_of,
)
from shared.model.ids import is_sha
from shared.model.results import Case, Cause, Result

_WORDS = {
    "pass": Result.PASS,
    "skip": Result.SKIP,
    "warn": Result.WARN,
    "fail": Result.FAIL,
    "error": Result.ERROR,
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One run of a manifest; `url` is None while it is running."""

    branch: str
    executor: str
    url: str | None


@dataclass(frozen=True, slots=True)
class Manifest:
    entries: tuple[Entry, ...]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Branch:
    """One branch of branches.json: `ref` of the repository at `repository`, cut from `base` ("" if not said)."""

    name: str
    date: datetime
    base: str
    repository: str
    ref: str


@dataclass(frozen=True, slots=True)
class Branches:
    entries: tuple[Branch, ...]
    warnings: tuple[str, ...] = ()


def read_manifest(data: bytes) -> Manifest:
    """The runs that a remote says it has. Raises Faulty."""
    told = Told()
    entries = []
    for index, row in _objects(read_json(data), told):
        branch, executor, url = name_of(row.get("branch")), name_of(row.get("executor")), row.get("url")
        if not branch or not executor:
            told.warn(f"entry {index}: no branch or no executor")
        elif url is not None and not link_of(url):
            told.warn(f"entry {index}: {str(url)[:200]!r} is no http address")
        else:
            entries.append(Entry(branch, executor, url))
    return Manifest(tuple(entries), told.warnings)


def read_branches(data: bytes) -> Branches:
    """The branches that a server lists, in its order. Raises Faulty."""
    told = Told()
    entries = []
    for index, row in _objects(read_json(data), told):
        name, date, base, url = name_of(row.get("branch")), time_of(row.get("date")), row.get("base"), row.get("url")
        repository, _, ref = name_of(url).rpartition(" ")
        if not name or not date or not repository:
            told.warn(f"entry {index}: no branch, date or url of the form 'repository branch'")
            continue
        known = base if isinstance(base, str) and is_sha(base) else ""
        entries.append(Branch(name, date, known, repository.strip(), ref))
    return Branches(tuple(entries), told.warnings)


def _objects(value: Any, told: Told, *path: str) -> Iterator[tuple[int, dict[str, Any]]]:
    if not isinstance(value, list):
        raise faulty("should be a list", *path)
    for index, row in enumerate(value):
        if isinstance(row, dict):
            yield index, row
        else:
            told.warn(f"entry {index} is no object")


def read_run(data: bytes) -> Reported:
    """The file of one run. Raises Faulty."""
    value = read_json(data)
    if not isinstance(value, dict):
        raise faulty("should be an object")
    for key in ("branch", "executor"):
        if not name_of(value.get(key)):
            raise faulty("is required", key)
    told = Told()
    for index, row in _objects(value.get("results"), told, "results"):
        _read_test(index, row, told)
    started, ended = (_time(value, key, told) for key in ("start", "end"))
    return Reported(
        told.cases, name_of(value["branch"]), name_of(value["executor"]), started, told.ordered(started, ended),
        link_of(value.get("link")), _device(value.get("device")), warnings=told.warnings,
    )  # fmt: skip


def _time(value: Mapping[str, Any], key: str, told: Told) -> datetime | None:
    when = time_of(value.get(key))
    if when is None and value.get(key) is not None:
        told.warn(f"{key}: {str(value[key])[:100]!r} is no time")
    return when


def _device(value: Any) -> Mapping[str, Any] | None:
    """NIPA's executors send what their script printed, which is JSON as a string, or not even that."""
    if isinstance(value, str) and value.strip():
        try:
            value = read_json(value.encode())
        except Faulty:
            return {"info": detail_of(value)}
    return value if isinstance(value, dict) and value else None


def _read_test(index: int, row: Mapping[str, Any], told: Told) -> None:
    name = name_of(row.get("test"))
    if not name:
        told.warn(f"result {index} has no name")
        return
    said = _attempts(row, sub=False)
    group = name_of(row.get("group"), NO_GROUP)
    test = Case(group, told.free_test(group, name, _numbers(said)), Result.ERROR, link=link_of(row.get("link")))
    _tell(test, row, said, told)
    below = row.get("results")
    for _, sub in _objects(below, told) if isinstance(below, list) else ():
        _read_subtest(replace(test, link=""), sub, told)


def _read_subtest(test: Case, row: Mapping[str, Any], told: Told) -> None:
    name = name_of(row.get("test"))
    if not name:
        told.warn(f"{test.group}/{test.test}: a subtest has no name")
        return
    said = _attempts(row, sub=True)
    name = told.free_subtest(test.group, test.test, name, _numbers(said))
    _tell(replace(test, subtest=name), row, said, told)


def _numbers(attempts: list[tuple[int, Any]]) -> range:
    return range(attempts[0][0], attempts[-1][0] + 1)


def _attempts(row: Mapping[str, Any], *, sub: bool) -> list[tuple[int, Any]]:
    """The numbers and words of the attempts that `row` tells of: the first run, and the retry if there was one.

    NIPA gives a subtest that it saw in the retry alone a skip for the first run, which is none.
    """
    first, retry = row.get("result"), row.get("retry")
    if retry is None:
        return [(0, first)]
    unseen = first is None or (sub and _word(first) == "skip" != _word(retry))
    return [(1, retry)] if unseen else [(0, first), (1, retry)]


def _word(value: Any) -> str:
    return value.lower() if isinstance(value, str) else ""


def _tell(base: Case, row: Mapping[str, Any], attempts: list[tuple[int, Any]], told: Told) -> None:
    """A case for each attempt. The time and the crashes are the first's: the file says them once."""
    seconds, crashes = seconds_of(row.get("time")), crashes_of(row.get("crashes"))
    for number, said in attempts:
        result, detail = _result(said)
        if detail:
            told.warn(f"{base.group}/{base.name}: {detail}")
        cause = Cause.CRASH if crashes and result.bad else None
        told.add(
            replace(base, result=result, cause=cause, attempt=number, seconds=seconds, detail=detail, crashes=crashes)
        )
        seconds, crashes = None, ()


def _result(said: Any) -> tuple[Result, str]:
    """What a word means, in any case; one that nobody knows is an error with a detail that names it."""
    if (known := _WORDS.get(_word(said))) is not None:
        return known, ""
    return Result.ERROR, "no result" if said is None else detail_of(f"unknown result {str(said)[:100]!r}")
