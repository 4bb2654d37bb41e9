"""Patience of those who take series in."""

from services.ingest.standing import PatchFact
from services.ingest.take import Calm, states_of


def test_after_a_failure_all_rest_and_longer_each_time() -> None:
    calm = Calm()
    assert calm.left <= 0
    assert [calm.failed(None) for _ in range(7)] == [1, 2, 4, 8, 16, 30, 30]
    assert 0 < calm.left <= 30
    assert calm.failed(90.0) == 90
    assert calm.went_well()
    assert (calm.left <= 0, calm.went_well()) == (True, False)


def test_states_come_along_with_an_order() -> None:
    assert states_of({"5": ["accepted", "me", True]}) == {5: PatchFact("accepted", "me", True)}
