"""What is asked of the server for a record, and what its answers mean. Pure."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from urllib.parse import quote

from services.executor.remote.branch import moment
from services.executor.remote.documents import with_link
from services.executor.remote.journal import Record
from services.executor.remote.spool import SpooledRun
from shared.formats.retry_after import seconds_asked
from shared.formats.run_model import DETAIL

RUNS = "/api/v1/lab/runs"
LONGEST_WAIT = 3600.0
"""Seconds; a server that asks for more is asked again all the same."""


@dataclass(frozen=True, slots=True)
class Post:
    """One request; `file` in the run's folder is its body, else `body` as JSON. What is `keyed` has the same bytes at
    each try, as the server compares.
    """

    method: str
    path: str
    body: Mapping[str, Any] | None = None
    file: str = ""
    keyed: bool = True

    @property
    def content(self) -> bytes:
        return b"" if self.body is None else json.dumps(self.body, separators=(",", ":")).encode()


def post_of(run: SpooledRun, record: Record, now: datetime) -> Post:
    """The request for a record. All but the first need to know the server's name of the run."""
    if record["kind"] == "open":
        return Post("POST", RUNS, _opening(run))
    at = f"{RUNS}/{quote(run.run_id or '', safe='')}"
    match record["kind"]:
        case "cases":
            return Post("POST", f"{at}/cases", _batch(run, record))
        case "expect":
            return Post("POST", f"{at}/heartbeat", _expectation(record, now), keyed=False)
        case "artifact":
            return Post("PUT", f"{at}/artifacts/{quote(record['name'])}", file=record["file"])
        case "end":
            return _ending(at, record)
    raise AssertionError(f"a record that is not posted: {record['kind']}")


def _opening(run: SpooledRun) -> Mapping[str, Any]:
    branch = run.branch
    return {
        "branch": branch.name, "executor": run.executor, "attempt": run.attempt,
        "facts": {"kernel_commit": branch.commit, "suite_commit": branch.commit},
    }  # fmt: skip


def _batch(run: SpooledRun, record: Record) -> Mapping[str, Any]:
    body: Mapping[str, Any] = record["body"]
    if not (record.get("log") and run.page):
        return body
    key = (record["group"], record["test"], record["number"])
    return with_link(body, key, f"{run.page}/log/{quote(record['log'])}")


def _expectation(record: Record, now: datetime) -> Mapping[str, Any]:
    """What we expected a while ago may be over by now, which would be no expectation."""
    end = {"expected_end": record["end"]} if moment(record["end"]) > now else {}
    planned = {"planned": record["planned"]} if "planned" in record else {}
    return end | planned


def _ending(at: str, record: Record) -> Post:
    what = "finish" if record["state"] == "done" else "abandon"
    words = "; ".join(word for word in (record["reason"], record["toolchain"]) if word)
    return Post("POST", f"{at}/{what}", {"reason": words[:DETAIL]} if words else {})


class What(StrEnum):
    """What became of a record."""

    TAKEN = "taken"
    REJECTED = "rejected"
    CLOSED = "closed"
    """The server closed the run meanwhile, or does not know it: all of it is told once more."""
    LATER = "later"
    DENIED = "denied"
    """The token is not good for it."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """`wait` is in seconds, None where the server named no time."""

    what: What
    why: str = ""
    wait: float | None = None


def meaning(kind: str, status: int, headers: Mapping[str, str], body: bytes, now: datetime) -> Meaning:
    """What an answer to a record of this kind says. `headers` have lower-case names."""
    why, wait = _words(status, body), seconds_asked(headers.get("retry-after", ""), LONGEST_WAIT, now)
    if 200 <= status < 300:
        return Meaning(What.TAKEN)
    if status in (401, 403):
        return Meaning(What.DENIED, why)
    if status == 409:
        return Meaning(What.CLOSED, why) if wait is None else Meaning(What.LATER, why, wait)
    if status == 404 and kind != "open":
        return Meaning(What.CLOSED, why)
    if status in (408, 425, 429) or status >= 500 or status < 400:
        return Meaning(What.LATER, why, wait)
    # An expectation that is not to the server's liking is no loss.
    return Meaning(What.TAKEN if kind == "expect" else What.REJECTED, why)


def _words(status: int, body: bytes) -> str:
    """What a problem document says (RFC 9457), with the first of its faults; else the beginning of the text."""
    try:
        said = json.loads(body)
        faults = "; ".join(f"{f.get('pointer', '')} {f.get('detail', '')}".strip() for f in said.get("errors", [])[:5])
        return f"{status}: {said.get('detail') or said.get('title', '')}{f' ({faults})' if faults else ''}"
    except (ValueError, AttributeError, TypeError):
        return f"{status}: {body[:200].decode('utf-8', 'replace')}"


def run_named(body: bytes) -> tuple[str, str]:
    """The run's name in the answer to its opening, and its page's address, "" if it has none. Raises ValueError."""
    said = json.loads(body)
    if not isinstance(said, dict) or said.get("run") in (None, ""):
        raise ValueError("the answer names no run")
    page = said.get("url")
    return str(said["run"]), page if isinstance(page, str) and page.startswith(("https://", "http://")) else ""
