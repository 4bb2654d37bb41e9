"""What outside labs said of a series, patch by patch, put together as one verdict in each context. Pure.

Which word replaces which was settled where it was written down; here it is only followed. While something is pending
nothing is concluded, unless a part has failed already.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from services.report import compose
from services.report.fold import Reason
from services.report.verdicts import Verdict
from shared.model.results import CheckState


@dataclass(frozen=True, slots=True)
class Said:
    """`patch` is the number of a patch, 0 the whole series."""

    context: str
    patch: int
    state: CheckState
    text: str
    remote: str


def of_checks(series: int, revision: int, project: str, said: Sequence[Said]) -> list[Verdict]:
    """One verdict a context, after the worst that was said; of equals the first patch."""
    ordered = sorted(said, key=lambda one: (one.context, one.patch))
    return [
        _verdict(series, revision, project, context, list(parts))
        for context, parts in groupby(ordered, key=lambda one: one.context)
    ]


def _verdict(series: int, revision: int, project: str, context: str, parts: Sequence[Said]) -> Verdict:
    worst = max(parts, key=lambda one: (one.state.rank, -one.patch))
    text = compose.clip(worst.text or f"{worst.remote}: {worst.state}")
    reasons = tuple(Reason("lab", _reason(one)) for one in parts[:20])
    return Verdict(
        series, revision, project, context, worst.state, worst.state is not CheckState.PENDING, text, reasons,
        patch_number=worst.patch or None, follows=True,
    )  # fmt: skip


def _reason(one: Said) -> str:
    where = f" of patch {one.patch}" if one.patch else ""
    return compose.clip(f"{one.remote}{where}: {one.state}" + (f", {one.text}" if one.text else ""))
