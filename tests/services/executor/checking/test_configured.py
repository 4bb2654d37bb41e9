"""Checks as a configuration has them: which, with what options, and faults told by the path of their key."""

import json
from pathlib import Path
from typing import Any

import pytest

from services.executor.checking.configured import checks_of, configured
from services.executor.checks import CHECKS
from shared.errors import Refused
from shared.settings import Checking, Project, preset


def names(**table: Any) -> list[str]:
    return [check.name for check in configured(Checking.model_validate(table), "here")]


def script(folder: Path, name: str) -> Path:
    place = folder / "patch" / name
    place.mkdir(parents=True)
    (place / "run.sh").write_text("#!/bin/sh\nexit 0\n")
    (place / "run.sh").chmod(0o755)
    (place / "info.json").write_text(json.dumps({"run": ["run.sh"]}))
    return place


def test_a_project_without_the_table_has_none() -> None:
    assert checks_of(Project.model_validate({"trees": {"t": {"git": "x"}}}), "projects.p") == ()


def test_without_a_word_it_is_all_of_the_rack() -> None:
    assert names() == list(CHECKS)


def test_only_those_named_in_their_order_and_without_those_left() -> None:
    assert names(use=["kdoc", "checkpatch", "signed"], leave=["checkpatch"]) == ["kdoc", "signed"]


def test_the_preset_leaves_some_unless_they_are_named() -> None:
    assert "signed" not in names(preset="netdev")
    assert names(preset="netdev", use=["signed"]) == ["signed"]


def test_every_name_in_the_preset_is_that_of_a_check_and_every_option_is_known() -> None:
    ships = preset("checks-netdev")
    assert {*ships.get("check", {}), *ships.get("leave", []), *ships.get("use", [])} <= CHECKS.keys()
    assert names(preset="netdev", leave=[]) == [name for name in CHECKS if name not in ships["leave"]]


def test_options_of_the_table_hold_over_those_of_the_preset() -> None:
    table = {"preset": "netdev", "use": ["checkpatch"], "check": {"checkpatch": {"time_limit": "7s"}}}
    (check,) = configured(Checking.model_validate(table), "here")
    (ships,) = configured(Checking.model_validate({"preset": "netdev", "use": ["checkpatch"]}), "here")
    assert check.time_limit.total_seconds() == 7
    assert check.config.ignore == ships.config.ignore != ()  # type: ignore[attr-defined]


def test_scripts_of_a_folder_join_and_one_in_a_table_stands_in_for_ours(tmp_path: Path) -> None:
    script(tmp_path / "tests", "own_one")
    other = script(tmp_path / "more", "style")
    found = configured(
        Checking.model_validate({"folders": [tmp_path / "tests"], "check": {"checkpatch": {"folder": other}}}), "here"
    )
    by_name = {check.name: check for check in found}
    assert list(by_name) == [*CHECKS, "own_one"]
    assert type(by_name["checkpatch"]).__name__ == "FolderCheck"


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"use": ["no_such"]}, "here.use: there is no check no_such; there are: "),
        ({"leave": ["no_such"]}, "here.leave: there is no check no_such"),
        ({"check": {"no_such": {}}}, "here.check: there is no check no_such"),
        ({"check": {"checkpatch": {"no_such": 1}}}, "here.check.checkpatch.no_such: "),
        ({"check": {"checkpatch": {"time_limit": "soon"}}}, "here.check.checkpatch.time_limit: "),
        ({"folders": ["/no/such/folder"]}, "here.folders.0: "),
        ({"check": {"own": {"folder": "/no/such/folder"}}}, "here.check.own: "),
    ],
)  # fmt: skip
def test_a_fault_is_told_by_the_path_of_its_key(table: dict[str, Any], said: str) -> None:
    with pytest.raises(Refused) as caught:
        configured(Checking.model_validate(table), "here")
    assert str(caught.value).startswith(said)
