"""Whether a test runs once more. Pure.

A failure is retried as often as the executor allows; a broken machine is no failure of the test and has a count of
its own, so that a test which keeps breaking machines ends as not run instead of going round for ever.
"""

from collections.abc import Iterable

from shared.model.results import Case, Cause

BREAKS = 3
"""How often one attempt may be broken off, by its machine or by a death of ours, before it is given up."""


def wants_retry(cases: Iterable[Case], number: int, retries: int) -> bool:
    """Whether the attempt `number` (from 0) with these cases deserves another, `retries` being allowed."""
    test = next((case for case in cases if not case.subtest), None)
    if test is None or number >= retries:
        return False
    return test.result.bad and test.cause is not Cause.INFRA


def given_up(broken: int) -> bool:
    """Whether an attempt that was broken off so often is not tried on."""
    return broken >= BREAKS
