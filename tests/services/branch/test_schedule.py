"""Slots and names."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from services.branch.schedule import branch_name, due, first_slot, free_name

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)

moments = st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
cadences = st.integers(1, 7 * 24 * 60).map(lambda minutes: timedelta(minutes=minutes))


def test_a_stream_begins_with_the_next_slot() -> None:
    assert first_slot(NOON + timedelta(seconds=1), 3 * HOUR) == NOON + 3 * HOUR
    assert first_slot(NOON, 3 * HOUR) == NOON


def test_of_several_missed_the_newest_is_due() -> None:
    found = due(NOON, 3 * HOUR, NOON + 7 * HOUR)
    assert (found.slot, found.missed, found.next) == (NOON + 6 * HOUR, 2, NOON + 9 * HOUR)
    assert due(NOON, 3 * HOUR, NOON - HOUR).slot is None


@given(moments, cadences, st.lists(st.integers(0, 10_000), max_size=30))
def test_no_slot_is_cut_twice_and_none_before_its_time(start: datetime, every: timedelta, steps: list[int]) -> None:
    wanted, now = first_slot(start, every), start
    cut: list[datetime] = []
    for minutes in steps:
        now += timedelta(minutes=minutes)
        found = due(wanted, every, now)
        assert found.next > now
        wanted = found.next
        if found.slot:
            assert found.slot <= now < found.slot + every
            cut.append(found.slot)
        else:
            assert not cut or now < cut[-1] + every
    assert cut == sorted(set(cut))


def test_names_end_in_the_minute_in_utc() -> None:
    east = NOON.astimezone(datetime.fromisoformat("2026-11-23T00:00:00+05:30").tzinfo)
    assert branch_name("net-next", east) == "net-next-2026-11-23--12-00"


def test_a_taken_name_moves_to_the_next_free_minute() -> None:
    taken = {"s-2026-11-23--23-59", "s-2026-11-24--00-00"}
    assert free_name("s", datetime(2026, 11, 23, 23, 59, tzinfo=UTC), taken) == "s-2026-11-24--00-01"
