"""Consoles made into KTAP: what stands before a line is taken away, and nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.formats import ktap
from shared.formats.kunit_log import bare, panic
from shared.model.results import Result

KTAP = "KTAP version 1\n1..1\n    KTAP version 1\n    # Subtest: s\n    1..2\n    ok 1 a\n    not ok 2 b\nnot ok 1 s\n"


@pytest.mark.parametrize(
    "before", ["", " ", "[    0.060000] ", "[    0.060000][    T1] ", "<6>[    1.000000] ", "tty0: "]
)
@pytest.mark.parametrize("tabs", [False, True])
def test_every_console_gives_the_same_report(before: str, tabs: bool) -> None:
    text = KTAP.replace("    ", "\t") if tabs else KTAP
    console = f"{before}Booting\n" + "".join(f"{before}{line}\n" for line in text.splitlines())
    points = ktap.read(bare(console)).points
    assert [(point.name, point.result) for point in points] == [
        ("s", Result.FAIL), ("s.a", Result.PASS), ("s.b", Result.FAIL),
    ]  # fmt: skip


def test_stamps_grow_and_widths_with_them() -> None:
    console = "[   9.9] KTAP version 1\n[  10.0] 1..2\n[1000000.5] ok 1 a\n[1000001.5][T12345] ok 2 b\n"
    assert bare(console) == "KTAP version 1\n1..2\nok 1 a\nok 2 b\n"


def test_a_log_without_a_version_line_stays() -> None:
    assert bare("1..1\nok 1 a\n") == "1..1\nok 1 a\n"


def test_a_panic_has_a_reason() -> None:
    assert panic("x\nKernel panic - not syncing: Fatal exception in interrupt\n") == "Fatal exception in interrupt"
    assert panic("Kernel panic - not syncing: \n") == "no reason given"
    assert panic("Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(98,0)\n") == ""
    assert panic("all is well\n") == ""


@given(st.text())
def test_any_text_is_survived(text: str) -> None:
    assert ktap.read(bare(text)).points == ktap.read(bare(bare(text))).points
    assert isinstance(panic(text), str)
