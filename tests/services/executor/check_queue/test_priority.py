"""Whose checks are next."""

import random
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from services.executor.check_queue.priority import PATIENCE, Waiting, at_first, in_order, priorities

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def waiting(
    id_: int, author: str = "", *, fixes: bool = False, patches: int = 1, ago: float = 0, by_hand: bool = False,
    expected: float = 1.0,
) -> Waiting:  # fmt: skip
    return Waiting(id_, author or f"author {id_}", fixes, patches, expected, NOW - timedelta(seconds=ago), by_hand)


def order(*plans: Waiting) -> list[int]:
    return [one.id for one in in_order(plans, NOW)]


def test_fixes_before_next_and_small_before_large() -> None:
    assert order(waiting(1, patches=9), waiting(2, patches=2), waiting(3, patches=9, fixes=True)) == [3, 2, 1]
    assert order(waiting(1, ago=5), waiting(2, ago=9), waiting(3, expected=0.5)) == [3, 2, 1]


def test_nobodys_second_before_everybodys_first() -> None:
    flood = [waiting(n, "ann", patches=1) for n in range(1, 5)]
    assert order(*flood, waiting(9, "bob", patches=15)) == [1, 9, 2, 3, 4]


def test_an_authors_small_fix_is_the_first_of_his() -> None:
    assert order(waiting(1, "ann", patches=15), waiting(2, "ann", fixes=True), waiting(3, "bob", patches=3)) == [
        2,
        3,
        1,
    ]


def test_who_is_not_known_shares_with_nobody() -> None:
    nobody = [Waiting(n, "", False, 1, 1.0, NOW) for n in (1, 2)]
    assert order(*nobody, waiting(3, patches=2)) == [1, 2, 3]


def test_by_hand_first_and_not_on_the_authors_account() -> None:
    plans = (waiting(1, "ann"), waiting(2, "ann", patches=15, by_hand=True), waiting(3, "bob", fixes=True))
    assert order(*plans) == [2, 3, 1]


def test_nobody_waits_for_ever() -> None:
    old = waiting(1, "ann", patches=15, ago=PATIENCE.total_seconds() + 1)
    assert order(*(waiting(n, fixes=True) for n in range(2, 6)), old)[0] == 1


def test_a_newcomer_waits_until_all_have_been_looked_at() -> None:
    ranked = priorities([waiting(1), waiting(2)], NOW)
    assert at_first(waiting(3)) < min(ranked.values()) < max(ranked.values()) < at_first(waiting(4, by_hand=True))


PLANS = st.lists(
    st.builds(
        waiting, st.integers(1, 10**6), st.sampled_from(["", "ann", "bob"]), fixes=st.booleans(),
        patches=st.integers(1, 20), ago=st.integers(0, 20_000), by_hand=st.booleans(), expected=st.floats(0, 1e4),
    ),
    unique_by=lambda one: one.id,
)  # fmt: skip


@given(PLANS, st.randoms())
def test_the_order_has_everybody_once_whoever_came_first(plans: list[Waiting], chance: random.Random) -> None:
    shuffled = chance.sample(plans, len(plans))
    assert in_order(plans, NOW) == in_order(shuffled, NOW)
    numbers = priorities(plans, NOW)
    assert sorted(numbers) == sorted(one.id for one in plans)
    assert len(set(numbers.values())) == len(plans)
