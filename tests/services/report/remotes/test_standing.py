"""When an executor is late, when silent, and when it is well again."""

from datetime import UTC, datetime, timedelta

import pytest

from services.report.remotes.standing import Attempted, Standing, behind, judge

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


def branches(*words: str) -> list[Attempted]:
    """Newest first: ``-`` nothing and due, ``+`` nothing and not due yet, ``late`` and ``open`` runs, ``done``,
    ``abandoned`` ones."""
    dues = {"+": 1, "open": 1}
    states = {"-": "", "+": "", "late": "open"}
    return [
        Attempted(f"b{9 - n}", NOW + timedelta(hours=dues.get(word, -1)), states.get(word, word))
        for n, word in enumerate(words)
    ]


@pytest.mark.parametrize(
    ("words", "standing"),
    [
        ("", "well"),
        ("+", "well"),
        ("done", "well"),
        ("done - - - -", "well"),
        ("+ done", "well"),
        ("open - - -", "well"),
        ("+ - done", "late"),
        ("- done", "late"),
        ("late done", "late"),
        ("abandoned done", "late"),
        ("- - done", "late"),
        ("- - - done", "silent"),
        ("+ - abandoned - -", "silent"),
        ("- - late -", "late"),
        ("- - +", "late"),
    ],
)
def test_judged_by_the_newest_branches(words: str, standing: str) -> None:
    assert judge(branches(*words.split()), NOW).standing == standing


def test_it_says_which_branch_and_why() -> None:
    judged = judge(branches("+", "-", "done"), NOW)
    assert (judged.branch, judged.text) == ("b8", "nothing on b8, which was due at 2026-11-25 11:00 UTC")
    assert judge(branches("late"), NOW).text == "the run on b9 should have ended at 2026-11-25 11:00 UTC"
    assert judge(branches(*"---"), NOW).text == "nothing on the last 3 branches that are due"


def test_worse_ranks_higher() -> None:
    assert max(Standing, key=lambda s: s.rank) is Standing.SILENT


@pytest.mark.parametrize(
    ("words", "lag"), [("", None), ("done", 0), ("+ - done -", 2), ("- late abandoned", None), ("open done", 1)]
)
def test_behind_counts_branches(words: str, lag: int | None) -> None:
    assert behind(branches(*words.split())) == lag
