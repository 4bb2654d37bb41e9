"""What a check found, as a document: written by who asked it, read by the pages. Pure.

Kept with the run under `name(patch, context)`; the log beside it. Text in it came from tools that read hostile code:
readers escape it, and its size is bounded here.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

MOST_FINDINGS = 500
MOST_CONTEXT = 12
LONGEST = 2000


@dataclass(frozen=True, slots=True)
class ReportedFinding:
    """See `Finding` in the executor's rack of checks."""

    text: str
    path: str = ""
    line: int | None = None
    level: str = "warning"
    new: bool = True
    context: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True, slots=True)
class CheckReport:
    """One answer. `log` and `files` name artifacts of the same run; `left_out` counts findings beyond the most."""

    check: str
    patch: int
    state: str
    text: str
    findings: tuple[ReportedFinding, ...] = ()
    repeat: str = ""
    notes: tuple[str, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    cause: str = ""
    tree: str = ""
    base: str = ""
    commit: str = ""
    log: str = ""
    files: tuple[str, ...] = ()
    left_out: int = 0


def artifact(patch: int, check: str, what: str = "report.json") -> str:
    """The name under which a part of an answer is kept: ``checks/2/checkpatch/report.json``."""
    return f"checks/{patch}/{check}/{what}"


def dump(report: CheckReport) -> bytes:
    """The document; text over the limits is cut."""
    # Cut first: as a dictionary all of it is copied, and there may be very many.
    facts = asdict(
        replace(
            report, findings=tuple(_bounded(one) for one in report.findings[:MOST_FINDINGS]),
            left_out=report.left_out + max(0, len(report.findings) - MOST_FINDINGS),
            text=report.text[:LONGEST], repeat=report.repeat[:LONGEST],
            notes=tuple(note[:LONGEST] for note in report.notes[:MOST_FINDINGS]),
        )
    )  # fmt: skip
    return json.dumps(facts, ensure_ascii=False).encode("utf-8", "replace")


def _bounded(finding: ReportedFinding) -> ReportedFinding:
    context = tuple((number, text[:LONGEST]) for number, text in finding.context[:MOST_CONTEXT])
    return replace(finding, text=finding.text[:LONGEST], path=finding.path[:LONGEST], context=context)


def load(document: bytes) -> CheckReport:
    """Raises ValueError for what `dump` did not write."""
    facts = json.loads(document)
    if not isinstance(facts, dict):
        raise ValueError("a check's report is an object")
    try:
        findings = tuple(_finding(one) for one in facts.pop("findings", ()))
        notes, files = tuple(facts.pop("notes", ())), tuple(facts.pop("files", ()))
        return CheckReport(findings=findings, notes=notes, files=files, **facts)
    except (TypeError, KeyError, AttributeError) as exc:
        raise ValueError(f"no check's report: {exc}") from None


def _finding(one: dict[str, Any]) -> ReportedFinding:
    context: Sequence[Any] = one.get("context", ())
    return ReportedFinding(**one | {"context": tuple((int(n), str(text)) for n, text in context)})
