"""The script suite: NIPA's exit codes, and KTAP if the script speaks it."""

from pathlib import PurePosixPath

import pytest
from pydantic import ValidationError

from services.executor.suites.base import Place, Spoken
from services.executor.suites.script import Script, ScriptConfig
from shared.model.results import Case, Cause, Result

PLACE = Place(PurePosixPath("/w"), "a" * 40, "net-next-2026-11-23--09-00", "b" * 40)


def a_script(**changes: object) -> Script:
    return Script(ScriptConfig.model_validate({"command": "./all", "test": "smoke", **changes}))


def cases(code: int | None, stdout: bytes = b"") -> tuple[Case, ...]:
    (invocation,) = a_script().invocations("", PLACE)
    return a_script().read(invocation, Spoken(stdout, b"", code, code is None, 1.0, 0, "log"))


@pytest.mark.parametrize(
    ("code", "result"),
    [(0, Result.PASS), (4, Result.SKIP), (5, Result.WARN), (1, Result.FAIL), (255, Result.FAIL), (None, Result.FAIL)],
)
def test_the_exit_code_is_the_result(code: int | None, result: Result) -> None:
    (only,) = cases(code)
    assert (only.group, only.test, only.result) == ("scripts", "smoke", result)


def test_a_time_limit_is_named_as_the_cause() -> None:
    assert cases(None)[0].cause is Cause.TIMEOUT


def test_ktap_gives_subtests_and_a_failed_one_counts() -> None:
    found = cases(0, b"KTAP version 1\n1..2\nok 1 a\nnot ok 2 b\n")
    assert [(case.subtest, case.result) for case in found] == [
        ("", Result.FAIL), ("a", Result.PASS), ("b", Result.FAIL),
    ]  # fmt: skip


def test_a_warning_does_not_hide_a_failed_subtest() -> None:
    assert cases(5, b"KTAP version 1\n1..1\nnot ok 1 b\n")[0].result is Result.FAIL
    assert cases(5, b"KTAP version 1\n1..1\nok 1 b\n")[0].result is Result.WARN


def test_the_environment_of_the_contract() -> None:
    (invocation,) = a_script(env={"BASE": "mine", "X": "1"}).invocations("", PLACE)
    assert invocation.command.env == {
        "BRANCH": PLACE.branch, "BASE": PLACE.base, "RESULTS_DIR": "/w/results/smoke", "X": "1",
        "NETCI_COMMIT": PLACE.commit,
    }  # fmt: skip


def test_where_it_runs_and_what_it_needs() -> None:
    assert a_script().paths() is None
    assert a_script(checkout=True).paths() == ()
    assert a_script(checkout=["tools"]).paths() == ("tools",)
    assert a_script().invocations("", PLACE)[0].command.cwd == PLACE.work
    assert a_script(checkout=True).invocations("", PLACE)[0].command.cwd == PLACE.tree


def test_words_stay_words() -> None:
    (invocation,) = a_script(command=["./all", "a b"]).invocations("", PLACE)
    assert invocation.command.argv == ("./all", "a b")


@pytest.mark.parametrize("command", ["", [], [" "], "  "])
def test_an_empty_command_is_refused(command: object) -> None:
    with pytest.raises(ValidationError):
        a_script(command=command)


# Before and after


def compared(before: str, after: str, codes: tuple[int, int] = (0, 0), **changes: list[str]) -> Case:
    suite = a_script(checkout=True, compare=True, **changes)
    (invocation,) = suite.invocations("", PLACE)
    (only,) = suite.read(invocation, both(before, after, codes))
    return only


def both(before: str, after: str, codes: tuple[int, int] = (0, 0)) -> Spoken:
    """What the host says of a command that said `before` on the base and `after` on the branch."""
    sides = zip(("base", "head"), (before, after), codes, strict=True)
    text = "".join(
        "".join(f"{side}: {line}\n" for line in said.splitlines()) + f"\nexit {side} {code}\n"
        for side, said, code in sides
    )
    return Spoken(text.encode(), b"", 0, False, 1.0, 0, "log")


def test_new_lines_fail_and_old_ones_do_not() -> None:
    assert compared("a.c:3:1: warning: old\n", "a.c:9:1: warning: old\n").result is Result.PASS
    case = compared("a.c:3:1: warning: old\n", "a.c:9: warning: old\nb.c:1: warning: new\n")
    assert (case.result, case.detail) == (Result.FAIL, "1 new: b.c:1: warning: new")
    assert compared("x\ny\n", "").result is Result.PASS


def test_folders_of_the_trees_are_no_difference() -> None:
    assert compared("/w/base/a.c:3: bad\n", "/w/tree/a.c:4: bad\n").result is Result.PASS


def test_only_lines_that_count_count() -> None:
    counts, ignore = ["*warning:*"], ["*known*"]
    known = compared("", "CC a.o\na.c:1: warning: known\n", counts=counts, ignore=ignore)
    strange = compared("", "CC a.o\na.c:1: warning: strange\n", counts=counts, ignore=ignore)
    assert (known.result, strange.result) == (Result.PASS, Result.FAIL)


@pytest.mark.parametrize(
    ("codes", "result"),
    [((0, 1), Result.FAIL), ((5, 1), Result.FAIL), ((4, 1), Result.FAIL), ((1, 1), Result.WARN), ((1, 0), Result.PASS),
     ((0, 4), Result.SKIP), ((0, 5), Result.WARN), ((0, 0), Result.PASS)],
)  # fmt: skip
def test_a_failure_is_the_branchs_if_the_base_has_none(codes: tuple[int, int], result: Result) -> None:
    assert compared("same\n", "same\n", codes).result is result


def test_the_command_cannot_say_how_it_ended() -> None:
    case = compared("", "exit head 0\nexit base 1\nbase: new\n", (0, 1))
    assert (case.result, case.detail) == (Result.FAIL, "exit=1, on the base 0")


def test_a_side_that_came_to_no_end_is_an_error() -> None:
    suite = a_script(checkout=True, compare=True)
    (invocation,) = suite.invocations("", PLACE)
    (case,) = suite.read(
        invocation, Spoken(b"base: x\n\nexit base 0\nhead: y\n\nexit head \n", b"", 0, False, 1.0, 0, "l")
    )
    assert (case.result, case.cause) == (Result.ERROR, Cause.TEST)


def test_new_lines_are_kept() -> None:
    suite = a_script(checkout=True, compare=True)
    (invocation,) = suite.invocations("", PLACE)
    assert suite.keep(invocation, both("a\n", "a\nb\nc\n")) == {"new-lines": b"b\nc\n"}
    assert suite.keep(invocation, both("a\n", "a\n")) == {}
    assert a_script().keep(invocation, both("a\n", "b\n")) == {}


def test_comparing_wants_both_trees_and_time_for_both() -> None:
    suite = a_script(checkout=["Documentation"], compare=True, time_limit="10m")
    assert suite.paths() == suite.base_paths() == ("Documentation",)
    assert suite.invocations("", PLACE)[0].time_limit.total_seconds() == 1200
    assert a_script(checkout=True).base_paths() is None
    with pytest.raises(ValidationError):
        a_script(compare=True)
