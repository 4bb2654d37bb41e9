"""The bpf suite: test_progs one test at a time, and what it says compared with how it ended."""

from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from services.executor.suites.base import Place, Spoken
from services.executor.suites.bpf import Bpf, BpfConfig
from shared.model.results import Case, Cause, Result

PLACE = Place(PurePosixPath("/w"), "a" * 40)
LISTING = """\
test_progs align
test_progs arena_htab
test_progs align
test_progs bad name
test_progs-no_alu32 align
other align
"""
BOTH = ("test_progs", "test_progs-no_alu32")

PASSED = b"#5/1     arena_htab/llvm:OK\n#5/2     arena_htab/asm:SKIP\n#5       arena_htab:OK (SKIP: 1/2)\n"
FAILED = b"""\
run_htab:FAIL:lookup unexpected lookup: actual 0 != expected 7
#5/1     arena_htab/llvm:FAIL
#5/2     arena_htab/asm:OK
#5       arena_htab:FAIL

All error logs:
run_htab:FAIL:lookup unexpected lookup: actual 0 != expected 7
#5/1     arena_htab/llvm:FAIL
#5       arena_htab:FAIL
Summary: 0/1 PASSED, 0 SKIPPED, 1 FAILED
"""
WHY = (
    b'{"success":0,"success_subtest":1,"skipped":0,"failed":1,"results":[{"name":"arena_htab","number":5,"message":"",'
    b'"failed":true,"subtests":[{"name":"llvm","number":1,"failed":true,'
    b'"message":"run_htab:FAIL:lookup unexpected lookup: actual 0 != expected 7\\n"}]}]}'
)


def a_suite(**changes: object) -> Bpf:
    return Bpf(BpfConfig.model_validate({"folder": "/opt/bpf"} | changes))


def summary(passed: int, subtests: int, skipped: int, failed: int) -> bytes:
    return f"Summary: {passed}/{subtests} PASSED, {skipped} SKIPPED, {failed} FAILED\n".encode()


def cases(stdout: bytes, code: int | None = 0, json: bytes = b"") -> tuple[Case, ...]:
    (invocation,) = a_suite(tests=["arena*"]).invocations(LISTING, PLACE)
    return a_suite().read(invocation, Spoken(stdout, json, code, code is None, 1.0, 0, "log"))


def test_each_test_of_each_program_is_a_run_of_its_own() -> None:
    found = a_suite(programs=BOTH).invocations(LISTING, PLACE)
    assert [one.key for one in found] == [
        ("bpf-test-progs", "align"), ("bpf-test-progs", "arena-htab"), ("bpf-test-progs-no-alu32", "align"),
    ]  # fmt: skip
    assert found[1].command.argv[-3:] == ("test_progs", "arena_htab", "/w/results/test-progs-arena-htab.json")
    assert found[1].command.cwd == PurePosixPath("/opt/bpf")
    assert a_suite(programs=BOTH).groups() == ("bpf-test-progs", "bpf-test-progs-no-alu32")


def test_built_programs_need_no_tree_and_others_are_built() -> None:
    assert a_suite().paths() is None
    assert [step.name for step in a_suite().prepare(PLACE)] == ["results"]
    built = a_suite(folder="tools/testing/selftests/bpf")
    assert built.paths() == ()
    assert [step.name for step in built.prepare(PLACE)] == ["build", "results"]


@pytest.mark.parametrize("wrong", [{"folder": "../x"}, {"programs": []}, {"programs": ["/bin/sh"]}, {"slow": 0}])
def test_a_wrong_key_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        a_suite(**wrong)


def test_one_skipped_subtest_makes_no_skip() -> None:
    found = cases(PASSED + summary(1, 1, 1, 0))
    assert [(case.subtest, case.result) for case in found] == [
        ("", Result.PASS), ("llvm", Result.PASS), ("asm", Result.SKIP),
    ]  # fmt: skip


def test_older_programs_call_that_a_skip() -> None:
    old = b"#5/1     arena_htab/llvm:OK\n#5/2     arena_htab/asm:SKIP\n#5       arena_htab:SKIP\n"
    assert cases(old + summary(1, 1, 1, 0))[0].result is Result.PASS


def test_a_test_that_skips_as_a_whole_is_a_skip() -> None:
    assert cases(b"#5       arena_htab:SKIP\n" + summary(1, 0, 1, 0))[0].result is Result.SKIP


def test_the_json_says_why() -> None:
    found = cases(FAILED, 1, WHY)
    assert found[0].result is Result.FAIL
    assert found[0].detail == "subtest llvm: run_htab:FAIL:lookup unexpected lookup: actual 0 != expected 7"
    assert [(case.subtest, case.result) for case in found[1:]] == [("llvm", Result.FAIL), ("asm", Result.PASS)]


def test_a_failure_counts_without_the_json_and_whatever_the_exit_code() -> None:
    assert cases(FAILED, 1)[0].detail == "subtest llvm: exit=1"
    assert cases(FAILED, 0)[0].result is Result.FAIL


@pytest.mark.parametrize(
    ("stdout", "json", "why"),
    [
        (PASSED, b"", "no summary: the program did not come to its end"),
        (PASSED + summary(0, 0, 0, 1), b"", "the program counts 1 failed, and names 0"),
        (PASSED + summary(1, 1, 1, 0), WHY,
         "the text counts 1/1 passed, 1 skipped, 0 failed, the JSON 0/1 passed, 0 skipped, 1 failed"),
        (summary(0, 0, 0, 0), b"", "the program gave no result"),
    ],
)  # fmt: skip
def test_what_does_not_add_up_is_an_error(stdout: bytes, json: bytes, why: str) -> None:
    case = cases(stdout, 0, json)[0]
    assert (case.result, case.cause, case.detail) == (Result.ERROR, Cause.TEST, why)


@pytest.mark.parametrize(
    ("code", "result", "cause"),
    [(1, Result.FAIL, None), (2, Result.ERROR, Cause.TEST), (3, Result.ERROR, Cause.TEST), (4, Result.FAIL, None),
     (139, Result.FAIL, None), (None, Result.FAIL, Cause.TIMEOUT)],
)  # fmt: skip
def test_exit_codes(code: int | None, result: Result, cause: Cause | None) -> None:
    case = cases(b"", code)[0]
    assert (case.result, case.cause) == (result, cause)


@given(st.text())
def test_any_listing_is_survived(listing: str) -> None:
    for invocation in a_suite().invocations(listing, PLACE):
        assert invocation.group == "bpf-test-progs"


@given(st.binary(), st.binary(), st.one_of(st.none(), st.integers(0, 255)))
def test_any_output_is_survived(stdout: bytes, json: bytes, code: int | None) -> None:
    assert cases(stdout, code, json)[0].test == "arena-htab"
