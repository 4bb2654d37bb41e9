"""Values as readers see them."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from services.report.web.words import badge, counts, kind_of, short, size, span, when


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, ""), (0.44, "0.4 s"), (12, "12 s"), (200, "3 min"), (7500, "2 h 05 min"), (10800, "3 h"), (400000, "4 d"),
     (-5, "-5.0 s")],
)  # fmt: skip
def test_span(seconds: float | None, text: str) -> None:
    assert span(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"), [(5, "5 B"), (1500, "1.5 kB"), (88_000_000, "88.0 MB"), (10**12, "1000 GB")]
)
def test_size(count: int, text: str) -> None:
    assert size(count) == text


def test_times_are_utc() -> None:
    there = datetime(2026, 11, 23, 12, 0, 7, tzinfo=timezone(timedelta(hours=2)))
    assert ">2026-11-23 10:00</time>" in when(there)
    assert 'datetime="2026-11-23T10:00:07+00:00"' in when(there.astimezone(UTC))
    assert "–" in when(None)


def test_a_state_is_a_word_and_a_colour_and_escaped() -> None:
    assert badge("fail") == '<span class="badge bad">fail</span>'
    assert "&lt;b&gt;" in badge("<b>")
    assert badge("") == ""
    assert [kind_of(s) for s in ("success", "pending", "warning", "red", "whatever")] == [
        "good", "busy", "warn", "bad", "quiet",
    ]  # fmt: skip


def test_commits_and_counts() -> None:
    assert short("a" * 40) == f'<code title="{"a" * 40}">{"a" * 12}</code>'
    assert short("") == ""
    assert counts({"pass": 2, "fail": 0, "skip": 1}) == "2 pass, 1 skip"
