"""Names of NIPA's branches, and the numbers that history gets."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.nipa.naming import Dated, branch_numbers, dated, first_free, run_numbers

TIMES = st.integers(1_400_000_000, 4_000_000_000).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))


def test_a_name_tells_its_stream_and_slot() -> None:
    slot = datetime(2026, 8, 20, 12, 0, tzinfo=UTC)
    assert dated("net-next-2026-08-20--12-00") == Dated("net-next", slot)
    assert dated("net-next-hw-2026-08-20--12-00") == Dated("net-next-hw", slot)


@pytest.mark.parametrize("name", ["main", "net-next-2026-13-20--12-00", "-2026-08-20--12-00", "net-2026-08-20--12-00x"])
def test_a_name_without_a_date_is_none(name: str) -> None:
    assert dated(name) is None


@given(TIMES, TIMES)
def test_numbers_are_below_zero_and_follow_time(one: datetime, other: datetime) -> None:
    first, second = sorted((one, other))
    if second - first < timedelta(minutes=1):
        return
    assert branch_numbers(first)[-1] < branch_numbers(second)[0] < 0
    assert run_numbers(branch_numbers(first)[-1])[-1] < run_numbers(branch_numbers(second)[0])[0] < 0
    assert abs(run_numbers(branch_numbers(first)[0])[0]) < 2**53


def test_the_first_that_is_free() -> None:
    assert first_free(range(5, 8), {5, 6}) == 7
    assert first_free(range(5, 7), {5, 6}) is None
