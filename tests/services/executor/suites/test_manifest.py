"""Manifests: what was expected and did not run is shown, and fails nothing."""

from datetime import timedelta
from pathlib import Path, PurePosixPath

import pytest

from services.executor.drivers.base import Command
from services.executor.suites import suite_for
from services.executor.suites.base import Foresees, Invocation, Place, Spoken, Suite
from services.executor.suites.kselftest import KselftestConfig
from services.executor.suites.manifest import Expected, Expecting, read
from services.executor.suites.script import ScriptConfig
from shared.errors import Refused
from shared.model.results import Case, Result
from tests.services.executor.builders import GROUP, Shells

PLACE = Place(PurePosixPath("/w"), "a" * 40)


def expecting(*lines: str) -> Expecting:
    return Expecting(Shells({"a": "true", "b": "true"}), read(lines))


def said(suite: Suite, stdout: bytes, code: int | None = 0) -> tuple[Case, ...]:
    invocation = Invocation(GROUP, "a", Command(("true",)), timedelta(1), "a")
    return suite.read(invocation, Spoken(stdout, b"", code, code is None, 1.0, 1, "log"))


def test_a_line_is_a_test_with_its_group_or_target_and_a_subtest() -> None:
    lines = "# comment", "", " tun ", "net:gro.sh", "selftests-net/tls  a b.c ", "net/forwarding:x.sh y", "tun"
    assert read(lines) == (
        Expected("", "tun"), Expected("selftests-net", "gro-sh"), Expected("selftests-net", "tls", "a b.c"),
        Expected("selftests-net-forwarding", "x-sh", "y"),
    )  # fmt: skip


def test_a_test_that_is_not_there_is_a_case_that_did_not_run() -> None:
    (case,) = expecting("a", f"{GROUP}/b", "c", "c sub").absent("", PLACE)
    assert (case.group, case.test, case.result) == (GROUP, "c", Result.NOT_RUN)
    assert [case.group for case in expecting("other/a").absent("", PLACE)] == ["other"]


def test_a_subtest_that_did_not_report_did_not_run() -> None:
    found = said(expecting("a one", "a two", "b three"), b"KTAP version 1\n1..1\nok 1 one\n")
    assert [(case.subtest, case.result, case.attempt) for case in found] == [
        ("", Result.PASS, 1), ("one", Result.PASS, 1), ("two", Result.NOT_RUN, 1),
    ]  # fmt: skip
    assert found[0].result is Result.PASS


def test_what_the_suite_misses_itself_stays() -> None:
    suite = suite_for(KselftestConfig(targets=("net", "tun"), expects=("net:gro.sh", "tun:tun")))
    assert isinstance(suite, Foresees)
    assert [(case.group, case.test, case.result) for case in suite.absent("test net:gro.sh\n", PLACE)] == [
        ("selftests-tun", "no-tests", Result.ERROR), ("selftests-tun", "tun", Result.NOT_RUN),
    ]  # fmt: skip


def test_names_may_come_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "expected").write_text("# ours\nsmoke\nsmoke one\nother\n")
    suite = suite_for(ScriptConfig(command="true", test="smoke", expects_file=tmp_path / "expected"))
    assert isinstance(suite, Foresees)
    assert [case.test for case in suite.absent("", PLACE)] == ["other"]
    with pytest.raises(Refused, match="expects_file"):
        suite_for(ScriptConfig(command="true", test="smoke", expects_file=tmp_path / "none"))


def test_a_suite_under_a_manifest_is_the_same_suite() -> None:
    plain = ScriptConfig(command="make htmldocs", test="docs", checkout=True, compare=True)
    suite = suite_for(plain.model_copy(update={"expects": ("docs",)}))
    bare = suite_for(plain)
    assert suite.paths() == bare.paths() == ()
    assert suite.prepare(PLACE) == bare.prepare(PLACE)
    assert suite.invocations("", PLACE) == bare.invocations("", PLACE)
    assert isinstance(suite, Expecting)
    assert suite.base_paths() == ()
    assert expecting("a").base_paths() is None
