"""A folder of NIPA's shape, in real cages: it runs as it would there, without what makes that wait for ever."""

import json
import textwrap
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from services.executor.checking.configured import configured
from services.executor.checks.base import Level, Needs, Said
from services.executor.checks.folder import FolderCheck, folder_check, folders_in
from services.executor.scripts.description import LINE
from shared.errors import Refused
from shared.model.results import Cause, CheckState
from shared.settings import Checking
from tests.services.executor.checks.world import World, edit, world

TREE = {"Makefile": b"all:\n", "net/tcp.c": b"int a;\n", "net/odd name.c": b"int b;\n"}
PATCH = edit("net/tcp.c", "int a;\nint b;\n")


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path / "world", TREE) as made:
        yield made


@pytest.fixture
def tests(tmp_path: Path) -> Path:
    """The root of a folder of checks, as NIPA's ``tests``."""
    (tmp_path / "nipa" / "tests" / "patch").mkdir(parents=True)
    (tmp_path / "nipa" / "tests" / "series").mkdir()
    return tmp_path / "nipa" / "tests"


def script(tests: Path, text: str, place: str = "patch/it", shell: str = "/bin/bash", **info: Any) -> FolderCheck:
    """A check that is a shell script."""
    folder = tests / place
    folder.mkdir(parents=True)
    (folder / "it.sh").write_text(f"#!{shell}\n{textwrap.dedent(text)}")
    (folder / "it.sh").chmod(0o755)
    info |= {"pull-requests": info.pop("pulls")} if "pulls" in info else {}
    (folder / "info.json").write_text(json.dumps({"run": ["it.sh"], **info}))
    return next(check for check in folders_in(tests) if check.name == folder.name)


def function(tests: Path, text: str, place: str = "patch/it", **info: Any) -> FolderCheck:
    """A check that is a Python function, named as its module."""
    folder = tests / place
    folder.mkdir(parents=True)
    (folder / "test.py").write_text(textwrap.dedent(text))
    (folder / "info.json").write_text(json.dumps({"pymod": "test", "pyfunc": "it", **info}))
    return next(check for check in folders_in(tests) if check.name == folder.name)


def word(said: Said) -> tuple[CheckState, str]:
    return said.state, said.text


# Scripts.


@pytest.mark.parametrize(
    ("code", "state"),
    [
        (0, CheckState.SUCCESS),
        (250, CheckState.WARNING),
        (111, CheckState.PENDING),
        (1, CheckState.FAIL),
        (3, CheckState.FAIL),
    ],
)
async def test_the_exit_code_is_the_answer(code: int, state: CheckState, here: World, tests: Path) -> None:
    check = script(tests, f'echo "Code {code}" >&$DESC_FD\nexit {code}\n')
    said = await here.one(check, PATCH)
    assert (word(said), said.cause) == ((state, f"Code {code}"), None)


async def test_without_a_description_there_is_a_link(here: World, tests: Path) -> None:
    assert word(await here.one(script(tests, "exit 0\n"), PATCH)) == (CheckState.SUCCESS, "Link")


async def test_several_lines_of_description_become_one(here: World, tests: Path) -> None:
    check = script(tests, 'echo "up to date;" >&"$DESC_FD"\nprintf "no\\n  warnings;\\n" >&"$DESC_FD"\n')
    assert (await here.one(check, PATCH)).text == "up to date; no warnings;"


async def test_the_log_is_what_it_printed_on_both(here: World, tests: Path) -> None:
    said = await here.one(script(tests, "echo out\necho err >&2\nexit 1\n"), PATCH)
    assert sorted(said.log.split()) == ["err", "out"]


async def test_a_shell_that_knows_small_descriptors_only_can_describe(here: World, tests: Path) -> None:
    check = script(tests, "echo from sh >&$DESC_FD\n", shell="/bin/sh")
    assert (await here.one(check, PATCH)).text == "from sh"


async def test_it_stands_in_a_git_work_tree_with_the_patch_at_head(here: World, tests: Path) -> None:
    check = script(
        tests,
        """
        set -e
        git status --porcelain
        git show --diff-filter=AM --pretty="" --name-only HEAD
        git log -1 --pretty=%s HEAD
        cat net/tcp.c
        git checkout -q HEAD~
        cat net/tcp.c
        git rev-parse HEAD "$BRANCH_BASE"
        git checkout -q "$BRANCH_BASE"
        pwd
        """,
    )
    said = await here.one(check, PATCH)
    assert said.state is CheckState.SUCCESS, said.log
    assert said.log.splitlines() == [
        "net/tcp.c", "net/tcp.c: change it", "int a;", "int b;", "int a;", here.tree, here.tree, "/src",
    ]  # fmt: skip


async def test_what_it_does_to_the_tree_is_thrown_away(here: World, tests: Path) -> None:
    check = script(
        tests,
        """
        test ! -e built || exit 7
        make >built && echo broken >net/tcp.c && rm Makefile && git checkout -q HEAD~ -f && git gc -q && rm -rf net
        """,
    )
    subject = await here.subject(PATCH, edit("net/odd name.c", "int c;\n"))
    first, second = await here.ask(check, subject)
    assert (first.state, second.state) == (CheckState.SUCCESS, CheckState.SUCCESS), first.log + second.log
    again = script(tests, 'git status --porcelain | grep . && exit 1; cat net/*.c >&"$DESC_FD"\n', "patch/again")
    assert word((await here.ask(again, subject))[-1]) == (CheckState.SUCCESS, "int c; int a; int b;")


async def test_the_environment_is_what_nipa_gives_and_no_more(here: World, tests: Path) -> None:
    check = script(
        tests, "env | sed 's/=.*//' | sort | grep -v -e ^_ -e SHLVL -e PWD\necho $BRANCH_BASE $RESULTS_DIR >&2\n"
    )
    said = await here.one(check, PATCH)
    assert said.log.split() == [
        "BRANCH_BASE", "DESC_FD", "FIRST_IN_SERIES", "HOME", "LANG", "PATH", "RESULTS_DIR", "TMPDIR",
        "main", "/results",
    ]  # fmt: skip


async def test_the_first_patch_is_told_so_and_a_series_is_not(here: World, tests: Path) -> None:
    subject = await here.subject(PATCH, edit("net/odd name.c", "int c;\n"))
    check = script(tests, 'echo "first=$FIRST_IN_SERIES" >&$DESC_FD\n')
    assert [said.text for said in await here.ask(check, subject)] == ["first=1", "first=0"]
    whole = script(tests, 'echo "first=$FIRST_IN_SERIES $(git log -1 --pretty=%s)" >&$DESC_FD\n', "series/whole")
    assert whole.level is Level.SERIES
    assert [said.text for said in await here.ask(whole, subject)] == ["first= net/odd name.c: change it"]


async def test_what_it_leaves_in_its_results_is_taken(here: World, tests: Path) -> None:
    check = script(
        tests, 'cd "$RESULTS_DIR" && echo 1 >diff && mkdir sub && echo 2 >sub/more && ln -s /etc/passwd link\n'
    )
    said = await here.one(check, PATCH)
    assert dict(said.files) == {"diff": b"1\n", "sub/more": b"2\n"}


async def test_it_can_use_files_of_its_own_and_of_its_neighbours(here: World, tests: Path) -> None:
    script(tests, "echo helped\n", "patch/helper")
    check = script(
        tests, '. "$(dirname "$0")/../helper/it.sh" >&$DESC_FD\ntouch "$(dirname "$0")/x" && exit 9; exit 0\n'
    )
    assert word(await here.one(check, PATCH)) == (CheckState.SUCCESS, "helped")


# What makes NIPA wait for ever.


async def test_a_child_that_keeps_the_descriptor_open_keeps_nobody(here: World, tests: Path) -> None:
    check = script(
        tests,
        """
        echo "It said this" >&$DESC_FD
        sleep 100000 &
        setsid nohup sleep 100000 >/dev/null 2>&1 &
        exit 250
        """,
    )
    assert word(await here.one(check, PATCH)) == (CheckState.WARNING, "It said this")


async def test_a_description_of_a_mebibyte_fits_and_is_kept_in_the_log(here: World, tests: Path) -> None:
    check = script(tests, "head -c 1048576 /dev/zero | tr '\\0' x >&$DESC_FD\necho printed\nexit 1\n")
    said = await here.one(check, PATCH)
    assert word(said) == (CheckState.FAIL, "x" * (LINE - 1) + "…")
    assert said.log.startswith("printed\n")
    assert said.log.count("x") >= 1 << 20


async def test_a_description_is_shown_while_the_script_runs(here: World, tests: Path) -> None:
    check = script(tests, 'echo "Building" >&$DESC_FD\nsleep 2\necho "done" >&$DESC_FD\n')
    assert (await here.one(check, PATCH)).text == "Building done"
    assert "Building" in here.described


async def test_it_takes_no_longer_than_it_may(here: World, tests: Path) -> None:
    check = script(tests, "sleep 100000\n", time_limit="2s")
    assert check.time_limit == timedelta(seconds=2)
    said = await here.one(check, PATCH)
    assert (said.text, said.cause) == ("took longer than 2 s", Cause.TIMEOUT)


# Functions.


async def test_a_function_is_given_the_patch_and_the_tree(here: World, tests: Path) -> None:
    check = function(
        tests,
        """
        import subprocess

        from typing import Tuple


        def it(tree, thing, result_dir) -> Tuple[int, str]:
            head = subprocess.run(["git", "show", "--name-only"], cwd=tree.path, capture_output=True, text=True)
            assert tree.git(["rev-parse", tree.branch]).strip() == tree.git(["rev-parse", "HEAD~"]).strip()
            assert tree.contains(tree.branch)
            with open(result_dir + "/patch", "wb") as fp:
                thing.write_out(fp)
            added = [line for line in thing.raw_patch.split("\\n") if line.startswith("+int")]
            return 250, f"{thing.title} of {tree.name}: {head.stdout.split()[-1]} {added}"
        """,
    )
    said = await here.one(check, PATCH)
    assert word(said) == (CheckState.WARNING, "net/tcp.c: change it of net-next: net/tcp.c ['+int b;']"), said.log
    assert b"Subject: [PATCH net-next] net/tcp.c: change it" in said.files["patch"]


async def test_a_function_may_give_a_log_and_a_series_has_its_patches(here: World, tests: Path) -> None:
    check = function(
        tests,
        """
        def it(tree, series, _):
            titles = [patch.title for patch in series.patches]
            facts = len(titles), bool(series.cover_letter), series.cover_pull, series.tree_marked, series.is_pure_pull()
            return 0, " ".join(map(str, facts)), "\\n".join(titles)
        """,
        "series/it",
    )
    said = await here.one(check, PATCH, edit("net/odd name.c", "int c;\n"), cover="two")
    assert word(said) == (CheckState.SUCCESS, "2 True False True False")
    assert said.log.split("\n")[:2] == ["net/tcp.c: change it", "net/odd name.c: change it"]


@pytest.mark.parametrize(
    ("code", "state"), [("111", CheckState.PENDING), ("1", CheckState.FAIL), ("125", CheckState.FAIL)]
)
async def test_the_code_of_a_function_is_the_answer(code: str, state: CheckState, here: World, tests: Path) -> None:
    check = function(tests, f"def it(tree, thing, result_dir):\n    return {code}, ''\n")
    assert word(await here.one(check, PATCH)) == (state, "Link")


async def test_a_function_that_breaks_says_nothing_of_the_patch(here: World, tests: Path) -> None:
    check = function(tests, "def it(tree, thing, result_dir):\n    raise KeyError('lei')\n")
    said = await here.one(check, PATCH)
    assert (said.cause, said.text) == (Cause.INFRA, "a fault of the check: KeyError: 'lei'")


async def test_nipas_core_is_there_if_it_lies_beside_the_folder(here: World, tests: Path) -> None:
    (tests.parent / "core").mkdir()
    (tests.parent / "core" / "__init__.py").write_text("def log(*words):\n    print(*words)\n")
    check = function(
        tests, "import core\n\ndef it(tree, thing, result_dir):\n    core.log('heard')\n    return 0, 'fine'\n"
    )
    said = await here.one(check, PATCH)
    assert word(said) == (CheckState.SUCCESS, "fine"), said.log
    assert said.log.strip() == "heard"


# Folders and tables.


def test_a_folder_of_folders_is_read_in_nipas_order(tests: Path) -> None:
    script(tests, "", "patch/b", pulls=True)
    function(tests, "", "patch/a", time_limit="2m", wants=["net/*"], needs=["ruff"])
    script(tests, "", "series/c", disabled=False, source=["x"])
    script_off = tests / "patch" / "off"
    script_off.mkdir()
    (script_off / "info.json").write_text('{"run": ["missing.sh", "x"], "disabled": false}')
    with pytest.raises(Refused, match=r"off: missing\.sh is no program"):
        folders_in(tests)
    (script_off / "missing.sh").write_text("")
    (script_off / "missing.sh").chmod(0o755)
    (script_off / "info.json").write_text('{"run": ["missing.sh", "x"], "disabled": true}')
    c, a, b = folders_in(tests)
    assert [(one.name, one.level, one.pulls) for one in (c, a, b)] == [
        ("c", Level.SERIES, False), ("a", Level.PATCH, False), ("b", Level.PATCH, True),
    ]  # fmt: skip
    assert (a.needs, a.wants, a.tools, a.time_limit) == (Needs.TREE, ("net/*",), ("ruff",), timedelta(minutes=2))
    assert (b.needs, b.wants, b.tools, b.time_limit) == (Needs.BUILD, (), (), timedelta(hours=1))


def test_a_folder_whose_folders_lie_in_it_flatly_will_do(tmp_path: Path) -> None:
    script(tmp_path, "", "mine", level="series")
    assert [(one.name, one.level) for one in folders_in(tmp_path)] == [("mine", Level.SERIES)]


async def test_a_table_names_one_folder_and_goes_before_what_is_in_it(here: World, tmp_path: Path) -> None:
    script(tmp_path, 'echo "from a table" >&$DESC_FD\n', "mine", level="series", time_limit="9m", needs=["nothing"])
    check = folder_check("other", {"folder": tmp_path / "mine", "level": "patch", "time_limit": "1m", "needs": ["git"]})
    assert (check.name, check.level, check.time_limit) == ("other", Level.PATCH, timedelta(minutes=1))
    assert word(await here.one(check, PATCH)) == (CheckState.SUCCESS, "from a table")


async def test_a_function_named_by_a_table_is_found(here: World, tmp_path: Path) -> None:
    function(tmp_path, "def it(tree, thing, result_dir):\n    return 0, thing.title\n", "mine")
    check = folder_check("other", {"folder": tmp_path / "mine"})
    assert word(await here.one(check, PATCH)) == (CheckState.SUCCESS, "net/tcp.c: change it")


@pytest.mark.parametrize(
    ("info", "words"),
    [
        ("{", "info.json: "),
        ("[]", "info.json: not an object"),
        ("{}", "either `run`, or `pymod` and `pyfunc`"),
        ('{"run": ["x"], "pymod": "test"}', "either `run`, or `pymod` and `pyfunc`"),
        ('{"pymod": "../test", "pyfunc": "it"}', "pymod: "),
        ('{"pymod": "test", "pyfunc": "it"}', "there is no test.py"),
        ('{"run": ["x"], "time_limit": "soon"}', "time_limit: "),
    ],
)
def test_a_folder_that_cannot_be_run_is_refused_with_its_name(info: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "info.json").write_text(info)
    with pytest.raises(Refused) as caught:
        folders_in(tmp_path)
    assert words in str(caught.value)
    assert str(tmp_path / "bad") in str(caught.value)


def test_a_table_with_an_unknown_key_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="timelimit: Extra inputs"):
        folder_check("x", {"folder": tmp_path, "timelimit": "1m"})


def test_an_empty_folder_of_folders_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"has no folder with an info\.json"):
        folders_in(tmp_path)


def test_a_folder_in_the_configuration_joins_our_checks_and_stands_in_for_one_of_its_name(tests: Path) -> None:
    script(tests, "", "patch/checkpatch")
    script(tests, "", "series/vendor")
    both = {check.name: check for check in configured(Checking(folders=(tests,)), "checking")}
    assert isinstance(both["checkpatch"], FolderCheck)
    assert both["vendor"].level is Level.SERIES
    assert "shellcheck" in both
    (one,) = configured(Checking(use=("vendor",), folders=(tests,)), "checking")
    assert isinstance(one, FolderCheck)
