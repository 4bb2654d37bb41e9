"""What `netci check --stream` on another machine says, line by line, made answers of again. Pure.

Its words went over a network, and repeat what hostile code printed: what has not the right form is a fault of the
builder, never an answer.
"""

import base64
import json
import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import TypeAdapter

from services.executor.checking.sink import Task
from services.executor.checks.base import Finding, Said
from shared.errors import InfraError
from shared.formats.check_report import CheckReport
from shared.model.results import Cause, CheckState

LONGEST = 256 << 20
"""Bytes of one line: an answer with its log and files."""

MOST_SECONDS = 86400.0
"""More than that no question took, whatever a builder says: by it, others are told how long they will wait."""

_REPORT = TypeAdapter(CheckReport)


@dataclass(frozen=True, slots=True)
class Told:
    """One line. `said` is there for what is answered, `text` for what is described or unasked."""

    what: Literal["began", "described", "answered", "unasked"]
    task: Task
    text: str = ""
    said: Said | None = None
    seconds: float = 0.0


def told(line: bytes, wanted: Collection[Task]) -> Told | None:
    """What the line says of a task that was `wanted`; None if it is of no task, as the last. Raises InfraError."""
    try:
        facts: Any = json.loads(line)
        if facts["what"] == "done":
            return None
        task = Task(_word(facts["check"]), _number(facts["patch"]))
        found = _told(facts, task)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as exc:
        raise InfraError(f"the builder says what nobody understands: {line[:200]!r} ({exc})") from None
    return found if task in wanted else None


def _told(facts: dict[str, Any], task: Task) -> Told:
    match facts["what"]:
        case "began":
            return Told("began", task)
        case "described":
            return Told("described", task, _word(facts["text"]))
        case "unasked":
            return Told("unasked", task, _word(facts["why"]))
        case "answered":
            document = json.dumps(facts["report"], ensure_ascii=False).encode("utf-8", "replace")
            report = _REPORT.validate_json(document, strict=True)
            files = {str(name): base64.b64decode(data, validate=True) for name, data in facts["files"].items()}
            said = _said(report, _word(facts["log"]), files)
            return Told("answered", task, said=said, seconds=_seconds(report.seconds))
        case other:
            raise ValueError(f"{other!r} is no news")


def _word(said: object) -> str:
    if not isinstance(said, str):
        raise TypeError("no text")
    return said


def _number(said: object) -> int:
    if not isinstance(said, int) or isinstance(said, bool):
        raise TypeError("no whole number")
    return said


def _seconds(said: float) -> float:
    if not math.isfinite(said):
        raise ValueError("no number of seconds")
    return min(max(said, 0.0), MOST_SECONDS)


def _said(report: CheckReport, log: str, files: dict[str, bytes]) -> Said:
    return Said(
        CheckState(report.state), report.text,
        tuple(Finding(f.text, f.path, f.line, f.level, f.new, f.context) for f in report.findings), log, report.repeat,
        report.notes, dict(report.counts), files,
        Cause(report.cause) if report.cause else None,
    )  # fmt: skip
