"""What checks said of a series, ours and labs', as verdicts: of the patch that was meant, or of the series. Pure.

Which word replaces which was settled where it was written down; here it is only followed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from services.report import compose
from services.report.fold import Reason
from services.report.verdicts import Verdict
from shared.model.ids import OWN_REMOTE
from shared.model.results import CheckState


@dataclass(frozen=True, slots=True)
class Said:
    """`patch` is the number of a patch, 0 the whole series."""

    context: str
    patch: int
    state: CheckState
    text: str
    remote: str

    @property
    def ours(self) -> bool:
        return self.remote == OWN_REMOTE


def of_checks(series: int, revision: int, project: str, said: Sequence[Said]) -> list[Verdict]:
    """One verdict for each thing that was said."""
    return [_verdict(series, revision, project, one) for one in said]


def _verdict(series: int, revision: int, project: str, one: Said) -> Verdict:
    text = compose.clip(one.text or (str(one.state) if one.ours else f"{one.remote}: {one.state}"))
    reasons = () if one.ours else (Reason("lab", _reason(one)),)
    return Verdict(
        series, revision, project, one.context, one.state, one.state is not CheckState.PENDING, text, reasons,
        follows=True, patch=one.patch,
    )  # fmt: skip


def _reason(one: Said) -> str:
    where = f" of patch {one.patch}" if one.patch else ""
    return compose.clip(f"{one.remote}{where}: {one.state}" + (f", {one.text}" if one.text else ""))
