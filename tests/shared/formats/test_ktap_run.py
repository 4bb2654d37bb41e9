"""Whole logs of many programs, and the table of formats. Whole files are in the golden tests."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.formats import foreign, ktap_run
from shared.formats.bounded import UNPACKED
from shared.formats.faults import Faulty
from shared.formats.run_model import CASES
from shared.model.results import Case, Cause, Result
from tests.shared.formats.lab import grown, key, told

NOISE = st.lists(
    st.sampled_from(
        ["ok 1 a\n", "not ok 2 b\n", "# ", "  ", "ok 1 selftests: net: a.sh\n", "# selftests: net: a_sh\n", "1..3\n",
         "TAP version 13\n", "Bail out!\n", "# Subtest: x\n", "\n", "é", "not ok 1 selftests: net: b # TIMEOUT 45\n"]
    )
).map("".join)  # fmt: skip


@given(st.one_of(st.binary(), NOISE.map(str.encode)))
def test_any_log_is_read_or_has_none(data: bytes) -> None:
    assert [fault.detail[:13] for fault in told(lambda: ktap_run.read(data))] in ([], ["holds no KTAP"])


@given(NOISE)
def test_no_two_cases_have_one_name(text: str) -> None:
    found = ktap_run.read(("TAP version 13\n" + text).encode()).cases
    assert len({key(case) for case in found}) == len(found)


def test_a_test_that_was_running_when_the_log_ended_is_an_error_of_its_own_name() -> None:
    (case,) = ktap_run.read(b"TAP version 13\n# selftests: net: gro.sh\n[ 1.0] BUG: dead\n").cases
    assert case == Case("selftests-net", "gro-sh", Result.ERROR, cause=Cause.TEST, detail="no result")


def test_totals_that_do_not_add_up_are_a_warning() -> None:
    run = ktap_run.read(b"TAP version 13\n1..1\nok 1 a\n# Totals: pass:2 fail:0\n")
    assert run.warnings == ("totals say pass:2, the log has 1",)


def test_tests_without_a_target_are_in_the_group_that_is_given() -> None:
    assert [case.group for case in ktap_run.read(b"1..1\nok 1 a\n", "kunit").cases] == ["kunit"]


def test_results_beyond_the_most_are_not_read() -> None:
    log = b"TAP version 13\n" + b"".join(b"ok %d a\n" % number for number in range(1, CASES + 10))
    run = ktap_run.read(log)
    assert len(run.cases) <= CASES
    assert run.warnings


@pytest.mark.parametrize("piece", ["# ", "ok 1 \U0001f600\n", "\U0001f600", "1..9\n", "# selftests: a: b\n"])
def test_the_largest_logs_cost_little(piece: str) -> None:
    raw = piece.encode()
    data = raw * (UNPACKED // len(raw))
    assert grown(lambda: told(lambda: ktap_run.read(data))) < 200 << 20


def test_a_format_that_nobody_knows_is_refused_with_those_that_are_read() -> None:
    with pytest.raises(Faulty, match="'xunit' is no format of results: nipa, junit, ktap are read"):
        foreign.read("xunit", b"")
    assert [case.test for case in foreign.read("ktap", b"1..1\nok 1 a\n").cases] == ["a"]
