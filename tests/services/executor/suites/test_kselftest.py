"""The kselftest suite decides with strings alone: which tests, where, how long, and what they said."""

from datetime import timedelta
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from services.executor.suites.base import Invocation, Place, Spoken
from services.executor.suites.kselftest import Kselftest, KselftestConfig, reproduce
from shared.model.results import Cause, Result

PLACE = Place(PurePosixPath("/home/ci/.netci/runs/run-1"), "a" * 40)
LISTING = """\
test net:gro.sh
test net:tls
test net/forwarding:bridge_vlan.sh
test mptcp:mptcp_join.sh
settings net timeout=1500
settings net/forwarding # timeout=3
settings net/forwarding timeout=0
"""


def a_suite(**changes: object) -> Kselftest:
    return Kselftest(KselftestConfig.model_validate({"targets": ["net", "net/forwarding"], **changes}))


def keys(suite: Kselftest, listing: str = LISTING) -> list[tuple[str, str]]:
    return [invocation.key for invocation in suite.invocations(listing, PLACE)]


def spoken(stdout: bytes, code: int | None = 0, timed_out: bool = False) -> Spoken:
    return Spoken(stdout, b"", code, timed_out, 1.5, 0, "selftests-net/gro-sh/0/stdout")


def test_tests_of_the_targets_in_the_order_of_the_list() -> None:
    assert keys(a_suite()) == [
        ("selftests-net", "gro-sh"),
        ("selftests-net", "tls"),
        ("selftests-net-forwarding", "bridge-vlan-sh"),
    ]
    assert a_suite().groups() == ("selftests-net", "selftests-net-forwarding")


def test_globs_choose_by_program_or_by_target_and_program() -> None:
    assert keys(a_suite(tests=["*.sh"])) == [
        ("selftests-net", "gro-sh"),
        ("selftests-net-forwarding", "bridge-vlan-sh"),
    ]
    assert keys(a_suite(tests=["net:*"], skip=["tls"])) == [("selftests-net", "gro-sh")]


def test_limits_come_from_the_settings_file_up_to_the_longest() -> None:
    limits = [i.time_limit for i in a_suite(longest="10m").invocations(LISTING, PLACE)]
    assert limits == [timedelta(minutes=10)] * 3
    limits = [i.time_limit for i in a_suite(longest="1h").invocations(LISTING, PLACE)]
    assert limits == [timedelta(seconds=1500)] * 2 + [timedelta(hours=1)]


def test_without_a_settings_file_the_default_holds() -> None:
    (only,) = a_suite(time_limit="50s").invocations("test net:tls\nsettings net colour=blue\n", PLACE)
    assert only.time_limit == timedelta(seconds=50)


def test_a_test_may_have_a_limit_of_its_own() -> None:
    suite = a_suite(time_limits={"net:gro.sh": "2h", "net:*": "3m"})
    limits = {one.test: one.time_limit for one in suite.invocations(LISTING, PLACE)}
    assert limits == {
        "gro-sh": timedelta(hours=2), "tls": timedelta(minutes=3), "bridge-vlan-sh": timedelta(minutes=30),
    }  # fmt: skip


def test_a_slow_machine_has_longer_limits_and_tests_know_it() -> None:
    suite = a_suite(slow=3, longest="10m", time_limits={"tls": "1m"}, env={"X": "1"})
    found = {one.test: one for one in suite.invocations(LISTING, PLACE)}
    assert found["gro-sh"].time_limit == timedelta(minutes=30)
    assert found["tls"].time_limit == timedelta(minutes=3)
    assert found["tls"].command.env == {"KSFT_MACHINE_SLOW": "yes", "X": "1"}


def test_a_target_without_a_test_is_missed_and_one_whose_tests_are_skipped_is_not() -> None:
    assert a_suite().absent(LISTING, PLACE) == ()
    assert a_suite(skip=["net:*"]).absent(LISTING, PLACE) == ()
    (case,) = a_suite().absent("test net:tls\nsettings net/forwarding timeout=0\n", PLACE)
    assert (case.group, case.test, case.result, case.cause) == (
        "selftests-net-forwarding", "no-tests", Result.ERROR, Cause.TEST,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("stdout", "code", "result"),
    [
        (b"TAP version 13\n1..2\nok 1 a # SKIP no tool\nok 2 b\n", 0, Result.PASS),
        (b"TAP version 13\n1..2\nok 1 a # SKIP no tool\nok 2 b # SKIP\n", 0, Result.SKIP),
        (b"TAP version 13\n1..1\nnot ok 1 a # XFAIL slow machine\n", 0, Result.PASS),
        (b"TAP version 13\n1..2\nok 1 a\n", 0, Result.ERROR),
        (b"TAP version 13\n1..1\nok 1 a\n# Totals: pass:2 fail:0 xfail:0 xpass:0 skip:0 error:0\n", 0, Result.ERROR),
        (b"all words of failure: FAIL [FAIL]\n", 0, Result.PASS),
    ],
)
def test_the_rules_are_those_of_ktap_and_not_of_words(stdout: bytes, code: int, result: Result) -> None:
    (invocation,) = a_suite(tests=["gro.sh"]).invocations(LISTING, PLACE)
    assert a_suite().read(invocation, spoken(stdout, code))[0].result is result


def test_a_test_runs_in_the_folder_of_its_target() -> None:
    (only,) = a_suite(env={"X": "1"}).invocations("test net/forwarding:a.sh", PLACE)
    assert only.command.cwd == PLACE.work / "install/net/forwarding"
    assert only.command.argv[-1] == "a.sh"
    assert only.command.env == {"X": "1"}
    assert only.command.merge


def test_two_programs_of_one_spelling_stay_two_tests() -> None:
    assert keys(a_suite(), "test net:a.sh\ntest net:a_sh\ntest net:a.sh\n") == [
        ("selftests-net", "a-sh"),
        ("selftests-net", "a-sh-2"),
    ]


def test_a_program_cannot_leave_its_folder() -> None:
    listing = "test net:../../../bin/sh\ntest net:..\ntest net:\ntest ..:x\nnet:y\nnonsense\n"
    (only,) = a_suite().invocations(listing, PLACE)
    assert only.command.argv[-1] == "sh"
    assert only.command.cwd == PLACE.work / "install/net"


def test_make_is_told_the_targets_and_where_to_install() -> None:
    (step,) = a_suite(make_vars={"LLVM": "1"}, build_limit="5m").prepare(PLACE)
    assert step.command.argv[:4] == ("make", "-C", str(PLACE.tree / "tools/testing/selftests"), "install")
    assert set(step.command.argv[4:]) == {
        "LLVM=1",
        "TARGETS=net net/forwarding",
        f"INSTALL_PATH={PLACE.work}/install",
        f"KSFT_INSTALL_PATH={PLACE.work}/install",
    }
    assert step.time_limit == timedelta(minutes=5)


def test_a_bundle_needs_no_checkout_and_no_build() -> None:
    suite = a_suite(bundle="/opt/kselftest")
    assert suite.paths() is None
    assert suite.prepare(PLACE) == ()
    assert suite.invocations("test net:tls", PLACE)[0].command.cwd == PurePosixPath("/opt/kselftest/net")


def test_a_checkout_is_whole_unless_parts_are_named() -> None:
    assert a_suite().paths() == ()
    assert a_suite(checkout=["tools/testing/selftests"]).paths() == ("tools/testing/selftests",)


@pytest.mark.parametrize(
    "wrong",
    [{"targets": []}, {"targets": ["../etc"]}, {"targets": ["/net"]}, {"checkout": ["-o"]}, {"bundle": "rel"},
     {"time_limit": "soon"}, {"target": ["net"]}],
)  # fmt: skip
def test_a_wrong_key_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        a_suite(**wrong)


def test_output_is_read_as_ktap_with_the_exit_code() -> None:
    (invocation,) = a_suite(tests=["gro.sh"]).invocations(LISTING, PLACE)
    cases = a_suite().read(invocation, spoken(b"KTAP version 1\n1..2\nok 1 a\nnot ok 2 b\n", 1))
    assert [(case.name, case.result) for case in cases] == [
        ("gro-sh", Result.FAIL),
        ("gro-sh.a", Result.PASS),
        ("gro-sh.b", Result.FAIL),
    ]
    (late,) = a_suite().read(invocation, spoken(b"", None, True))
    assert (late.result, late.cause) == (Result.FAIL, Cause.TIMEOUT)
    (skipped,) = a_suite().read(invocation, spoken(b"no such thing here\n", 4))
    assert skipped.result is Result.SKIP


@given(st.text())
def test_any_listing_is_survived(listing: str) -> None:
    for invocation in a_suite().invocations(listing, PLACE):
        assert invocation.group in a_suite().groups()


@given(st.binary(), st.one_of(st.none(), st.integers(0, 255)))
def test_any_output_is_survived(stdout: bytes, code: int | None) -> None:
    (invocation,) = a_suite(tests=["gro.sh"]).invocations(LISTING, PLACE)
    assert a_suite().read(invocation, spoken(stdout, code, code is None))[0].test == "gro-sh"


def test_how_to_see_it_again() -> None:
    invocation: Invocation = a_suite().invocations("test net/forwarding:a.sh", PLACE)[0]
    assert reproduce(invocation) == (
        "make -C tools/testing/selftests TARGETS=net/forwarding TEST_PROGS=a.sh TEST_GEN_PROGS= run_tests"
    )
