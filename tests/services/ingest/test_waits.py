"""When the next look is due."""

from datetime import UTC, datetime, timedelta

from services.ingest.waits import before_slot, wait_after

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def test_the_queue_is_read_a_minute_before_each_slot() -> None:
    assert before_slot(NOON, [3 * HOUR]) == 3 * 3600 - 60
    assert before_slot(NOON - timedelta(seconds=61), [3 * HOUR]) == 1
    assert before_slot(NOON - timedelta(seconds=60), [3 * HOUR]) == 3 * 3600


def test_the_stream_that_is_cut_next_counts() -> None:
    assert before_slot(NOON + HOUR, [3 * HOUR, 2 * HOUR]) == 3600 - 60


def test_short_cadences_and_no_stream() -> None:
    assert before_slot(NOON, [timedelta(seconds=20)]) == 15
    assert before_slot(NOON, []) == 3600


def test_failures_are_waited_out_longer_and_longer() -> None:
    assert [wait_after(30, n) for n in (1, 2, 5, 9)] == [30, 30, 30, 30]
    assert [wait_after(0, n) for n in (1, 2, 5, 9)] == [1, 2, 16, 30]
    assert wait_after(30, 1, asked=90) == 90
