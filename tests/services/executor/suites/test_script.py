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
