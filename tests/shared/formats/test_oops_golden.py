"""Consoles by kind, architecture, age and way of printing, against what must be read of each.

``python -m tests.shared.formats.test_oops_golden`` writes what the present code says; review the difference.
"""

from pathlib import Path

import pytest

from shared.formats.oops import Kind, OopsReader, Report, read
from shared.formats.oops_kinds import opening
from shared.formats.oops_lines import lines
from shared.formats.oops_search import could_open

FOLDER = Path(__file__).parents[2] / "golden" / "console"
EXPECTED = FOLDER / "expected.txt"
LOGS = sorted(path.stem for path in FOLDER.glob("*.log"))


def console(name: str) -> bytes:
    return (FOLDER / f"{name}.log").read_bytes()


def told(report: Report) -> str:
    """A report as the table has it."""
    more = [
        f"line {report.number}",
        *([report.source] if report.source else []),
        *(["fatal"] if report.fatal else []),
        *([f"broken: {report.broken}"] if report.broken else []),
    ]
    rows = [report.title, f"  {report.fingerprint}", f"  nipa {report.nipa or '-'}", f"  {', '.join(more)}"]
    return "".join(f"    {row}\n" for row in rows)


def table() -> dict[str, str]:
    parts = EXPECTED.read_text().split("\n\n")
    return {part.partition("\n")[0]: part.partition("\n")[2].rstrip("\n") for part in parts if part.strip()}


def says(name: str) -> str:
    return ("".join(map(told, read(console(name)))) or "    nothing\n").rstrip("\n")


def test_the_table_is_long_enough_and_has_every_kind() -> None:
    assert set(table()) == set(LOGS)
    assert len(LOGS) >= 60
    assert {report.kind for name in LOGS for report in read(console(name))} == set(Kind)


@pytest.mark.parametrize("name", LOGS)
def test_says_what_the_table_has(name: str) -> None:
    assert says(name) == table()[name]


@pytest.mark.parametrize("name", LOGS)
def test_split_at_every_byte_it_says_the_same(name: str) -> None:
    log = console(name)
    reader = OopsReader()
    found = [report for at in range(len(log)) for report in reader.feed(log[at : at + 1])]
    assert sorted(found + reader.end(), key=lambda report: report.offset) == list(read(log))


@pytest.mark.parametrize("name", LOGS)
def test_cut_off_after_any_line_it_tells_no_other_crash(name: str) -> None:
    log = console(name)
    begins = {report.number for report in read(log)}
    for end in (at + 1 for at, byte in enumerate(log) if byte == ord("\n")):
        assert {report.number for report in read(log[:end])} <= begins


@pytest.mark.parametrize("name", LOGS)
def test_no_opening_is_passed_over_by_the_search(name: str) -> None:
    for raw in console(name).splitlines(keepends=True):
        if any(opening(line.text, True) for line in lines(raw, 0, 1)):
            assert could_open(raw)


if __name__ == "__main__":
    EXPECTED.write_text("\n\n".join(f"{name}\n{says(name)}" for name in LOGS) + "\n")
