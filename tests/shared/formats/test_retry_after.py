"""What a server asks for by Retry-After: seconds, or a date."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.formats.retry_after import seconds_asked

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0), ("120", 120), (" 5 ", 5), ("900", 300), ("9" * 400, 300), ("-5", None), ("1.5", None), ("", None),
        ("soon", None), ("٣", None), ("²", None), ("Mon, 23 Nov 2026 09:01:00 GMT", 60),
        ("Mon, 23 Nov 2026 10:00:00 GMT", 300), ("Mon, 23 Nov 2026 08:00:00 GMT", 0),
        ("Mon, 23 Nov 2026 09:01:00 -0000", 60), ("Mon, 99 Nov 2026 09:01:00 GMT", None),
        (f"Mon, {'9' * 20} Nov 2026 09:01:00 GMT", None), (f"Mon, 23 Nov {'9' * 20} 09:01:00 GMT", None),
        (f"Mon, 23 Nov 2026 09:01:00 +{'9' * 14}", None),
    ],
)  # fmt: skip
def test_what_is_asked_for(text: str, seconds: float | None) -> None:
    assert seconds_asked(text, 300.0, NOW) == seconds


def test_a_date_says_nothing_to_who_knows_no_time() -> None:
    assert seconds_asked("Mon, 23 Nov 2026 09:01:00 GMT", 300.0) is None


@given(st.text(max_size=60))
def test_any_text_is_a_bounded_wait_or_none(text: str) -> None:
    found = seconds_asked(text, 300.0, NOW)
    assert found is None or 0 <= found <= 300
