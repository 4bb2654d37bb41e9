"""Slots are found from the clock alone."""

from datetime import UTC, datetime, timedelta

from shared.model.slots import next_slot, slot_at

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def test_slots_are_aligned_to_the_clock() -> None:
    assert slot_at(NOON + timedelta(minutes=59), 3 * HOUR) == NOON
    assert slot_at(NOON, 3 * HOUR) == NOON
    assert slot_at(NOON - timedelta(seconds=1), 3 * HOUR) == NOON - 3 * HOUR


def test_the_next_slot_is_after_now() -> None:
    assert next_slot(NOON - timedelta(seconds=1), 3 * HOUR) == NOON
    assert next_slot(NOON, 3 * HOUR) == NOON + 3 * HOUR
