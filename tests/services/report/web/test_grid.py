"""Cells of the grid: whose word goes first, what is counted, in which order."""

from typing import Any

from services.report.web.grid import grid
from shared.model.ids import OWN_REMOTE

PATCHES = {1: "one", 2: "two"}


def a_task(check: str, patch: int, state: str, lane: str = "tree", **more: Any) -> dict[str, Any]:
    plain = {"check_name": check, "patch": patch, "state": state, "lane": lane, "why": "", "described": "",
             "run_id": 1, "seconds": None, "started": None, "ended": None}  # fmt: skip
    return plain | more


def a_word(check: str, patch: int, state: str, remote: str = OWN_REMOTE, **more: Any) -> dict[str, Any]:
    plain = {"context": check, "patch": patch, "state": state, "text": f"{state} {patch}", "remote": remote,
             "executor": "bot", "run_id": 2, "link": "", "at": None}  # fmt: skip
    return plain | more


def cell(made: dict[str, Any], check: str, patch: int) -> Any:
    (row,) = (row for row in made["rows"] if row["context"] == check)
    return row["cells"][made["columns"].index(patch)]


def test_what_was_said_goes_before_what_is_done_and_a_person_before_both() -> None:
    tasks = [a_task("kdoc", 1, "answered"), a_task("kdoc", 2, "planned"), a_task("ynl", 1, "running", described="half")]
    said = [a_word("kdoc", 1, "fail"), a_word("kdoc", 2, "success")]
    by_hand = [{"context": "kdoc", "patch": 1, "state": "success", "text": "Set by ann: wrong"}]
    made = grid(PATCHES, tasks, said, by_hand)
    assert (cell(made, "kdoc", 1)["state"], cell(made, "kdoc", 1)["by_hand"]) == ("success", True)
    assert (cell(made, "kdoc", 2)["state"], cell(made, "kdoc", 2)["again"]) == ("success", True)
    assert (cell(made, "ynl", 1)["state"], cell(made, "ynl", 1)["text"]) == ("running", "half")
    assert cell(made, "ynl", 2) is None
    assert made["open"]
    assert made["counts"] == {"success": 2, "running": 1, "all": 3}


def test_cheap_ones_come_first_and_labs_last_and_the_series_has_a_column_if_it_is_told_anything() -> None:
    tasks = [a_task("build_clang", 1, "answered", "build"), a_task("format", 0, "answered", "mail")]
    said = [a_word("build_clang", 1, "success"), a_word("format", 0, "success"), a_word("a-lab", 1, "fail", "vendor")]
    made = grid(PATCHES, tasks, said, (), ["other"])
    assert [row["context"] for row in made["rows"]] == ["format", "build_clang", "a-lab"]
    assert [row["posted"] for row in made["rows"]] == [True, True, False]
    assert made["columns"] == [0, 1, 2]
    assert not made["open"]
    assert grid(PATCHES, tasks[:1], said[:1])["columns"] == [1, 2]


def test_what_is_no_success_is_told_the_worst_first() -> None:
    tasks = [
        a_task("b", 1, "infra", why="no tool"),
        a_task("c", 1, "unasked", why="a pull request"),
        a_task("d", 2, "planned"),
    ]
    said = [a_word("a", 2, "warning"), a_word("a", 1, "success"), a_word("e", 2, "fail"), a_word("f", 1, "fail")]
    made = grid(PATCHES, tasks, said)
    assert [(one["context"], one["state"]) for one in made["told"]] == [
        ("f", "fail"), ("e", "fail"), ("b", "infra"), ("a", "warning")
    ]  # fmt: skip
    assert made["counts"]["all"] == 6


def test_a_series_without_checks_has_an_empty_grid() -> None:
    made = grid(PATCHES, [], [])
    assert (made["rows"], made["counts"], made["open"]) == ([], {"all": 0}, False)
