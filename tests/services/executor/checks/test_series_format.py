"""A cover letter, the number of patches, the tree's name."""

import pytest

from services.executor.checks.series_format import SeriesFormatConfig, said
from shared.model.results import CheckState
from tests.services.executor.checks.subjects import a_mail, a_patch, a_series

COVER = a_mail("All of it.", subject="[PATCH net-next 0/3] net: x")
OKAY, WARN, FAIL = CheckState.SUCCESS, CheckState.WARNING, CheckState.FAIL


@pytest.mark.parametrize(
    ("count", "facts", "state", "text"),
    [
        (1, {}, OKAY, "Single patches do not need cover letters"),
        (2, {}, OKAY, "Single patches do not need cover letters"),
        (3, {}, WARN, "Series does not have a cover letter"),
        (3, {"cover": COVER}, OKAY, "Posting correctly formatted"),
        (15, {"cover": COVER}, OKAY, "Posting correctly formatted"),
        (16, {"cover": COVER}, FAIL, "Series longer than 15 patches"),
        (16, {}, FAIL, "Series does not have a cover letter; Series longer than 15 patches (and no cover letter)"),
        (16, {"cover_pull": True}, WARN, "Pull request is its own cover letter; Series longer than 15 patches (PR)"),
        (3, {"cover": COVER, "mark_expected": True}, WARN, "Target tree name not specified in the subject"),
        (3, {"cover": COVER, "mark_expected": True, "marked": True}, OKAY, "Posting correctly formatted"),
    ],
)
def test_said(count: int, facts: dict[str, object], state: CheckState, text: str) -> None:
    answer = said(a_series(*(a_patch(n) for n in range(1, count + 1)), **facts), SeriesFormatConfig())
    assert (answer.state, answer.text) == (state, text)
