"""The verdict on a branch, from facts alone."""

from dataclasses import replace
from datetime import timedelta
from random import Random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from services.report.fold import BranchState, CutFacts, Lab, Patience, RunFacts, fold
from services.report.rollup import Rollup, TestName, outcomes, roll_up
from tests.services.report.builders import NOW, a_case

METAL, WOOD = Lab("metal", "net"), Lab("wood", "drv")
PATIENCE = Patience(timedelta(hours=3), timedelta(minutes=30))
LATE = NOW + timedelta(hours=4)


def some_facts(*runs: RunFacts, labs: tuple[Lab, ...] = (METAL, WOOD)) -> CutFacts:
    return CutFacts("net-next-2026-11-23--09-00", NOW, labs, runs)


def done(lab: Lab, **counts: Any) -> RunFacts:
    return RunFacts(lab, 0, "done", rollup=Rollup(**(counts or {"passed": 3})))


def running(lab: Lab, minutes: int) -> RunFacts:
    return RunFacts(lab, 0, "open", expected_end=NOW + timedelta(minutes=minutes), begun=2)


def test_all_passed_is_success_with_the_number_of_tests() -> None:
    verdict = fold(some_facts(done(METAL), done(WOOD, passed=2, flaky=1)), PATIENCE, NOW)
    assert (verdict.state, verdict.settled, verdict.flaky) == (BranchState.SUCCESS, True, 1)
    assert verdict.text == "net-next-2026-11-23--09-00 (tests: 5)"


def test_a_failure_makes_it_red_and_says_which() -> None:
    failing = (TestName("selftests-net", "tls"),)
    verdict = fold(some_facts(done(METAL), done(WOOD, passed=1, failed=1, failing=failing)), PATIENCE, NOW)
    assert verdict.state is BranchState.RED
    assert verdict.text == "net-next-2026-11-23--09-00 (tests: 5, failing: 1)"
    assert "wood/drv: 1 failing: selftests-net/tls" in [r.text for r in verdict.reasons]


def test_nothing_is_concluded_while_a_lab_is_waited_for_not_even_from_failures() -> None:
    verdict = fold(some_facts(done(METAL, failed=1), running(WOOD, 60)), PATIENCE, NOW)
    assert verdict.state is BranchState.WAITING
    assert verdict.wait_until == NOW + timedelta(minutes=90)


def test_skips_do_not_finish_a_branch_early() -> None:
    verdict = fold(some_facts(done(METAL, skipped=1), labs=(METAL, WOOD)), PATIENCE, NOW)
    assert verdict.state is BranchState.WAITING


def test_a_lab_that_never_began_is_due_after_the_streams_time_and_grace() -> None:
    facts = some_facts(done(METAL))
    due = NOW + timedelta(hours=3, minutes=30)
    assert fold(facts, PATIENCE, due - timedelta(seconds=1)).wait_until == due
    late = fold(facts, PATIENCE, due)
    assert (late.state, late.missing) == (BranchState.SUCCESS, ("wood",))
    assert late.text.endswith("(tests: 3), without wood")
    assert [r.rule for r in late.reasons] == ["silent"]


def test_a_lab_that_hangs_is_named_and_its_half_run_does_not_count() -> None:
    verdict = fold(some_facts(done(METAL), running(WOOD, 60)), PATIENCE, LATE)
    assert (verdict.state, verdict.tests, verdict.missing) == (BranchState.SUCCESS, 3, ("wood",))


def test_only_the_silent_executor_of_a_remote_is_named() -> None:
    other = Lab("metal", "drv")
    verdict = fold(some_facts(done(METAL), labs=(METAL, other)), PATIENCE, LATE)
    assert verdict.missing == ("metal/drv",)


def test_no_lab_gave_anything_is_infra_and_nothing_else() -> None:
    verdict = fold(some_facts(running(WOOD, 60)), PATIENCE, LATE)
    assert (verdict.state, verdict.missing) == (BranchState.INFRA, ("metal", "wood"))


def test_an_abandoned_run_lowers_nothing_and_is_not_waited_for() -> None:
    abandoned = RunFacts(WOOD, 0, "abandoned", "infra", "host wood1 is gone")
    verdict = fold(some_facts(done(METAL), abandoned), PATIENCE, NOW)
    assert (verdict.state, verdict.missing) == (BranchState.SUCCESS, ("wood",))
    assert "host wood1 is gone" in verdict.reasons[-1].text


def test_a_new_run_after_an_abandoned_one_is_waited_for() -> None:
    abandoned = RunFacts(WOOD, 0, "abandoned", "infra", "host wood1 is gone")
    verdict = fold(some_facts(done(METAL), abandoned, replace(running(WOOD, 60), attempt=1)), PATIENCE, NOW)
    assert verdict.state is BranchState.WAITING


def test_what_was_given_stands_while_the_same_lab_runs_again() -> None:
    verdict = fold(some_facts(done(METAL), done(WOOD), replace(running(WOOD, 60), attempt=1)), PATIENCE, NOW)
    assert verdict.state is BranchState.SUCCESS


def test_a_run_in_which_only_machines_failed_gave_nothing() -> None:
    verdict = fold(some_facts(done(METAL), done(WOOD, infra=4)), PATIENCE, NOW)
    assert (verdict.state, verdict.missing) == (BranchState.SUCCESS, ("wood",))


def test_a_run_that_is_partly_unjudged_says_so_and_is_no_worse() -> None:
    verdict = fold(some_facts(done(METAL, passed=2, infra=4), labs=(METAL,)), PATIENCE, NOW)
    assert (verdict.state, verdict.infra) == (BranchState.SUCCESS, 4)
    assert [r.rule for r in verdict.reasons] == ["partial"]


def test_an_executor_that_gave_up_is_not_waited_for() -> None:
    given_up = replace(WOOD, given_up="no space left")
    verdict = fold(some_facts(done(METAL), labs=(METAL, given_up)), PATIENCE, NOW)
    assert verdict.state is BranchState.SUCCESS
    assert "no space left" in verdict.reasons[-1].text


def test_skips_warn_unless_the_stream_ignores_them() -> None:
    facts = some_facts(done(METAL, passed=1, skipped=2), labs=(METAL,))
    assert fold(facts, PATIENCE, NOW).text == "net-next-2026-11-23--09-00 (tests: 3, skipped: 2)"
    assert fold(facts, PATIENCE, NOW).state is BranchState.WARNING
    assert fold(facts, replace(PATIENCE, skips_warn=False), NOW).state is BranchState.SUCCESS


def test_a_rollup_counts_tests_not_subtests_and_names_flakes() -> None:
    flaky = [a_case("tls", "fail"), a_case("tls", "pass", attempt=1)]
    subtest = replace(a_case("udp", "fail"), subtest="gso")
    cases = [*flaky, a_case("udp", "skip"), subtest, a_case("ipv6", "error"), a_case("x", "fail", cause="infra")]
    rollup = roll_up(outcomes(cases))
    assert (rollup.tests, rollup.passed, rollup.failed, rollup.skipped, rollup.infra) == (3, 1, 1, 1, 1)
    assert [t.test for t in rollup.failing] == ["ipv6"]
    assert [t.test for t in rollup.flakes] == ["tls"]


labs = st.sampled_from([METAL, WOOD, Lab("metal", "drv"), Lab("outside", "x")])
rollups = st.builds(
    Rollup, passed=st.integers(0, 2), failed=st.integers(0, 1), skipped=st.integers(0, 1), infra=st.integers(0, 1)
)
a_run_of = st.builds(
    RunFacts, lab=labs, attempt=st.integers(0, 3), state=st.sampled_from(["open", "done", "abandoned"]),
    cause=st.sampled_from(["", "infra", "timeout"]), rollup=st.none() | rollups,
    expected_end=st.none() | st.just(NOW + timedelta(hours=1)),
)  # fmt: skip


@given(st.lists(a_run_of, max_size=6, unique_by=lambda r: (r.lab, r.attempt)), st.integers(0, 300), st.randoms())
def test_the_order_of_runs_and_labs_does_not_matter(runs: list[RunFacts], minutes: int, random: Random) -> None:
    now = NOW + timedelta(minutes=minutes)
    facts = some_facts(*runs)
    shuffled = CutFacts(facts.branch, NOW, [WOOD, METAL], random.sample(runs, len(runs)))
    assert fold(facts, PATIENCE, now) == fold(shuffled, PATIENCE, now)


@given(st.lists(a_run_of, max_size=6, unique_by=lambda r: (r.lab, r.attempt)))
def test_infra_never_lowers(runs: list[RunFacts]) -> None:
    """Taking all trace of broken machines away changes what is missing, never what is concluded."""
    after = NOW + timedelta(days=1)
    sound = [r for r in runs if r.state == "done" and r.cause != "infra"]
    assert fold(some_facts(*runs), PATIENCE, after).state is fold(some_facts(*sound), PATIENCE, after).state
