"""Documents of answers: what is over the limits is left out before anything is copied."""

import pytest

from shared.formats.check_report import MOST_CONTEXT, MOST_FINDINGS, CheckReport, ReportedFinding, dump, load
from tests.shared.formats.lab import grown


def test_what_is_dumped_is_loaded() -> None:
    one = ReportedFinding("text", "a.c", 3, "error", False, ((2, "a"), (3, "b")))
    report = CheckReport("checkpatch", 2, "fail", "text", (one,), "cmd", ("note",), {"new": 1}, 1.5, files=("a",))
    assert load(dump(report)) == report


def test_what_is_over_the_limits_is_cut() -> None:
    one = ReportedFinding("x" * 5000, "p" * 5000, context=((1, "c" * 5000),) * 50)
    found = load(dump(CheckReport("c", 1, "fail", "t" * 5000, (one,) * 600, "r" * 5000, ("n" * 5000,), left_out=7)))
    assert (len(found.findings), found.left_out) == (MOST_FINDINGS, 107)
    assert {len(found.text), len(found.repeat), len(found.notes[0]), len(found.findings[0].text)} == {2000}
    assert (len(found.findings[0].path), len(found.findings[0].context)) == (2000, MOST_CONTEXT)
    assert len(found.findings[0].context[0][1]) == 2000


def test_very_many_findings_are_not_copied() -> None:
    report = CheckReport("c", 1, "fail", "t", tuple(ReportedFinding("x", "a.c", n) for n in range(100_000)))
    assert grown(lambda: dump(report)) < 8 << 20


def test_other_documents_are_refused() -> None:
    for document in (b"[]", b"{}", b'{"findings": [1]}'):
        with pytest.raises(ValueError, match="check's report"):
            load(document)
