"""Ten rounds of kills change nothing but the time. `make chaos ROUNDS=100` does more of them."""

import random

import pytest

from tests.chaos.plan import BROKER, DATABASE, QUEUES, ROOMS, plan
from tests.chaos.run import compare

pytestmark = [pytest.mark.slow, pytest.mark.timeout(290)]


async def test_killing_changes_nothing_but_the_time() -> None:
    seed = random.SystemRandom().randrange(1 << 31)
    told: list[str] = []
    report = await compare(seed, 10, broker=True, say=told.append)
    assert not report.faults, _story(seed, report.faults, told)
    assert sum(report.kills.values()) >= 10
    assert report.facts > 200


def test_a_seed_is_a_plan_and_ten_rounds_hit_everything() -> None:
    blows = [blow for one in plan(5, 10, broker=True) for blow in one]
    assert plan(5, 10, broker=True) == plan(5, 10, broker=True) != plan(6, 10, broker=True)
    assert {blow.victim for blow in blows} >= {*ROOMS, DATABASE, BROKER, QUEUES}
    assert plan(5, 30, broker=True)[:10] == plan(5, 10, broker=True)


def _story(seed: int, faults: list[str], told: list[str]) -> str:
    return "\n".join([f"python -m tests.chaos --rounds 10 --seed {seed} --verbose repeats this", *faults, *told])
