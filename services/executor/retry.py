"""Whether a test runs once more. Pure.

A failure is retried as often as the executor allows; a broken machine is no failure of the test and has a count of
its own, so that a test which keeps breaking machines ends as not run instead of going round for ever.
"""

from collections.abc import Collection, Iterable

from shared.model.results import Case, Cause

BREAKS = 3
"""How often one attempt may be broken off, by its machine or by a death of ours, before it is given up."""


def wants_retry(
    cases: Iterable[Case], number: int, retries: int, known_bad: Collection[tuple[str, str, str]] = ()
) -> bool:
    """Whether the attempt `number` (from 0) with these cases deserves another, `retries` being allowed.

    What fails in every run, by (group, test, subtest), would fail once more: a try that has no other failure is spared.
    A crash is always looked at twice.
    """
    every = list(cases)
    test = next((case for case in every if not case.subtest), None)
    if test is None or number >= retries or not test.result.bad or test.cause is Cause.INFRA:
        return False
    below = [case for case in every if case.subtest and case.result.bad]
    spared = all((case.group, case.test, case.subtest) in known_bad for case in below or [test])
    return not spared or any(case.crashes for case in every)


def given_up(broken: int) -> bool:
    """Whether an attempt that was broken off so often is not tried on."""
    return broken >= BREAKS
