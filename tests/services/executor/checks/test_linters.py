"""shellcheck, yamllint, pylint and ruff in real cages: what a patch brings is told, what was there is not."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from services.executor.checks.base import OurCheck, Said
from services.executor.checks.pylint import Pylint
from services.executor.checks.ruff import Ruff
from services.executor.checks.shellcheck import Shellcheck, ShellcheckConfig
from services.executor.checks.yamllint import Yamllint
from shared.model.results import Cause, CheckState
from tests.services.executor.checks.world import World, edit, world

CLEAN = "#!/bin/sh\nset -e\necho fine\n"
UNQUOTED = '#!/bin/sh\na="$1"\necho $a\n'
YAML = "---\na: 1\n"
PYTHON = '"""A module."""\n\nprint("fine")\n'

TREE = {
    "t/clean.sh": CLEAN.encode(),
    "t/dirty.sh": UNQUOTED.encode(),
    "t/lib.sh": b"#!/bin/sh\nA=1\nexport A\n",
    "t/specs/.yamllint": b"extends: default\nrules:\n  line-length: disable\n",
    "t/specs/a.yaml": YAML.encode(),
    "a.yaml": YAML.encode(),
    "t/a.py": PYTHON.encode(),
    "t/b.py": b"import os\n\n\ndef first():\n    return 1\n",
    "net/a.c": b"int a;\n",
}


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path / "world", TREE) as made:
        yield made


def word(said: Said) -> tuple[CheckState, str]:
    return said.state, said.text


def new(said: Said) -> list[str]:
    """The new findings, which come before all others."""
    assert [one.new for one in said.findings] == sorted((one.new for one in said.findings), reverse=True)
    return [f"{one.path}:{one.line}: {one.text}" for one in said.findings if one.new]


@pytest.mark.parametrize(
    ("check", "text"),
    [
        (Shellcheck(), "No shell scripts touched, skip"), (Yamllint(), "No YAML files touched, skip"),
        (Pylint(), "No python scripts touched, skip"), (Ruff(), "No python scripts touched, skip"),
    ],
)  # fmt: skip
async def test_a_patch_without_such_files_passes(check: OurCheck, text: str, here: World) -> None:
    said = await here.one(check, edit("net/a.c", "int b;\n"))
    assert word(said) == (CheckState.SUCCESS, text)
    gone = {"subject": "gone", "edits": [{"path": p, "delete": True} for p in ("t/clean.sh", "a.yaml", "t/a.py")]}
    assert word(await here.one(check, gone)) == (CheckState.SUCCESS, text)


# shellcheck


async def test_a_new_script_must_be_clean(here: World) -> None:
    said = await here.one(Shellcheck(), edit("t/new.sh", UNQUOTED))
    assert word(said) == (CheckState.FAIL, "Errors before: 0 (+warn: 0) this patch: 1 (+warn: 0)")
    assert new(said) == ["t/new.sh:3: Double quote to prevent globbing and word splitting. [SC2086]"]
    assert said.repeat == "# with patch 1 applied\n(cd t && shellcheck -f json1 -x -e SC2317 -e SC2329 -- ./new.sh)"
    assert word(await here.one(Shellcheck(), edit("t/new.sh", CLEAN))) == (
        CheckState.SUCCESS, "Errors before: 0 (+warn: 0) this patch: 0 (+warn: 0)",
    )  # fmt: skip


async def test_a_script_that_was_clean_must_stay_so(here: World) -> None:
    said = await here.one(Shellcheck(), edit("t/clean.sh", UNQUOTED))
    assert word(said) == (CheckState.FAIL, "Errors before: 0 (+warn: 0) this patch: 1 (+warn: 0)")


async def test_what_moved_in_a_dirty_script_is_nothing_new(here: World) -> None:
    said = await here.one(Shellcheck(), edit("t/dirty.sh", UNQUOTED.replace("\na=", "\n\n\na=")))
    assert word(said) == (CheckState.SUCCESS, "Errors before: 0 (+warn: 0) this patch: 0 (+warn: 0)")
    assert (new(said), len(said.findings), said.counts) == ([], 1, {"new": 0, "kept": 1, "gone": 0})


async def test_a_warning_in_a_dirty_script_warns(here: World) -> None:
    said = await here.one(Shellcheck(), edit("t/dirty.sh", UNQUOTED + "unused=1\n"))
    assert word(said) == (CheckState.WARNING, "Errors before: 0 (+warn: 0) this patch: 0 (+warn: 1)")
    assert new(said) == ["t/dirty.sh:4: unused appears unused. Verify use (or export if used externally). [SC2034]"]


async def test_a_warning_in_the_place_of_another_warns(here: World) -> None:
    first = edit("t/dirty.sh", UNQUOTED + "unused=1\n")
    said = await here.one(Shellcheck(), first, edit("t/dirty.sh", UNQUOTED + "other=1\n"))
    assert word(said) == (CheckState.WARNING, "Errors before: 0 (+warn: 1) this patch: 0 (+warn: 1)")


async def test_a_renamed_script_is_compared_with_what_it_was(here: World) -> None:
    said = await here.one(Shellcheck(), {"subject": "move", "edits": [{"path": "t/dirty.sh", "rename": "u/moved.sh"}]})
    assert word(said) == (CheckState.SUCCESS, "Errors before: 0 (+warn: 0) this patch: 0 (+warn: 0)")


async def test_it_runs_where_the_script_lies_so_that_it_finds_what_that_sources(here: World) -> None:
    said = await here.one(Shellcheck(), edit("t/new.sh", '#!/bin/sh\n. ./lib.sh\necho "$A"\n'))
    assert word(said) == (CheckState.SUCCESS, "Errors before: 0 (+warn: 0) this patch: 0 (+warn: 0)")


async def test_codes_can_be_excluded_but_not_by_the_series(here: World) -> None:
    lenient = Shellcheck(ShellcheckConfig(exclude=("SC2086",)))
    assert (await here.one(lenient, edit("t/new.sh", UNQUOTED))).state is CheckState.SUCCESS
    rc = {"path": "t/.shellcheckrc", "content": "disable=SC2086\n"}
    said = await here.one(Shellcheck(), {"subject": "x", "edits": [rc, {"path": "t/new.sh", "content": UNQUOTED}]})
    assert said.state is CheckState.FAIL
    assert "judged by the base's t/.shellcheckrc" in said.notes


async def test_a_script_with_a_name_like_an_option_is_a_script(here: World) -> None:
    said = await here.one(Shellcheck(), edit("t/--version.sh", UNQUOTED), edit("t/a b'$(id).sh", UNQUOTED))
    assert said.state is CheckState.FAIL
    assert new(said)[0].startswith("t/a b'$(id).sh:3: ")


# yamllint


async def test_new_errors_of_yaml_fail_and_warnings_warn(here: World) -> None:
    said = await here.one(Yamllint(), edit("a.yaml", YAML + "b: [1,  2]\n"))
    assert word(said) == (CheckState.FAIL, "Errors before: 0 (+warn: 0) this patch: 1 (+warn: 0)")
    assert new(said) == ["a.yaml:3: too many spaces after comma [commas]"]
    said = await here.one(Yamllint(), edit("a.yaml", YAML + "b: [1,  2]\n"), edit("a.yaml", YAML + "b: yes\n"))
    assert word(said) == (CheckState.WARNING, "Errors before: 1 (+warn: 0) this patch: 0 (+warn: 1)")


async def test_yaml_is_judged_by_the_rules_of_its_folder_in_the_base(here: World) -> None:
    long = f"---\na: {'x' * 100}\n"
    assert (await here.one(Yamllint(), edit("t/specs/a.yaml", long))).state is CheckState.SUCCESS
    assert (await here.one(Yamllint(), edit("a.yaml", long))).state is CheckState.FAIL
    rules = {"path": ".yamllint", "content": "extends: default\nrules: {line-length: disable}\n"}
    both = {"subject": "x", "edits": [rules, {"path": "a.yaml", "content": long}]}
    said = await here.one(Yamllint(), both)
    assert (said.state, "judged by the base's .yamllint" in said.notes) == (CheckState.FAIL, True)
    broken = {
        "subject": "x",
        "edits": [{**rules, "content": "rules: ["}, {"path": "a.yaml", "content": YAML + "b: 1\n"}],
    }
    assert (await here.one(Yamllint(), broken)).state is CheckState.SUCCESS


# pylint


async def test_new_remarks_of_pylint_warn_and_errors_fail(here: World) -> None:
    said = await here.one(Pylint(), edit("t/a.py", PYTHON + "\n\ndef bare():\n    return 1\n"))
    assert word(said) == (CheckState.WARNING, "Errors before: 0 (+warn: 0) this patch: 0 (+warn: 1)")
    assert new(said) == ["t/a.py:6: Missing function or method docstring [C0116]"]
    said = await here.one(Pylint(), edit("t/a.py", PYTHON + "print(unheard_of)\n"))
    assert word(said) == (CheckState.FAIL, "Errors before: 0 (+warn: 0) this patch: 1 (+warn: 0)")


async def test_one_more_of_the_same_remark_is_the_one_that_the_patch_wrote(here: World) -> None:
    before = "import os\n\n\ndef first():\n    return 1\n"
    said = await here.one(
        Pylint(), edit("t/b.py", before.replace("def first", "def zeroth():\n    return 0\n\n\ndef first"))
    )
    assert new(said) == ["t/b.py:4: Missing function or method docstring [C0116]"]


async def test_a_syntax_error_is_an_error(here: World) -> None:
    said = await here.one(Pylint(), edit("t/a.py", "def (:\n"))
    assert said.state is CheckState.FAIL
    assert "this patch: 1" in said.text


async def test_pylint_cannot_be_silenced_by_the_series(here: World) -> None:
    rc = {"path": ".pylintrc", "content": "[MESSAGES CONTROL]\ndisable=all\n"}
    said = await here.one(
        Pylint(), {"subject": "x", "edits": [rc, {"path": "t/a.py", "content": "print(unheard_of)\n"}]}
    )
    assert said.state is CheckState.FAIL


# ruff


async def test_any_new_remark_of_ruff_fails(here: World) -> None:
    said = await here.one(Ruff(), edit("t/a.py", '"""A module."""\n\nimport os\n\nprint("fine")\n'))
    assert word(said) == (CheckState.FAIL, "Errors before: 0 ; this patch: 1")
    assert new(said) == ["t/a.py:3: `os` imported but unused [F401]"]
    said = await here.one(Ruff(), edit("t/b.py", "import os\n\n\ndef second():\n    return 1\n"))
    assert word(said) == (CheckState.SUCCESS, "Errors before: 1 ; this patch: 1")


async def test_ruff_reads_what_is_no_python_as_an_error(here: World) -> None:
    assert (await here.one(Ruff(), edit("t/a.py", "def (:\n"))).state is CheckState.FAIL


# Tools


async def test_a_tool_that_is_not_there_is_the_machines_fault_and_only_where_it_is_needed(
    here: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.executor.checks.ruff._Tool.tool", "no-ruff")
    said = await here.one(Ruff(), edit("t/a.py", PYTHON + "\n"))
    assert (said.cause, said.text) == (
        Cause.INFRA, "no-ruff is not there: install ruff, or name the folder that has it "
        "(checks.path; netci check --path DIR)",
    )  # fmt: skip
    assert (await here.one(Ruff(), edit("net/a.c", "int b;\n"))).state is CheckState.SUCCESS


async def test_a_limit_that_ends_the_tool_is_told(here: World) -> None:
    tight = replace(here, place=replace(here.place, settings=here.place.settings.model_copy(update={"output": 2000})))
    said = await tight.one(Shellcheck(), edit("t/new.sh", "#!/bin/sh\n" + "echo $a\n" * 50))
    assert (said.state, said.text, said.cause) == (CheckState.FAIL, "shellcheck printed more than it may", Cause.PATCH)
