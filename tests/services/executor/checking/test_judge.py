"""Judges are the base's, one folder for all bases that have the same, kept within bounds."""

import os
from pathlib import Path

import pytest

from services.executor.checking.judge import RULES, SCRIPTS, Judges, changed_judges, judged_note
from tests.services.executor.checking.builders import Contents, Repository, listing, series

TREE: Contents = {
    "scripts/checkpatch.pl": ("100755", b"#!/usr/bin/perl\n"), "scripts/kernel-doc": b"kd\n", ".mailmap": b"map\n",
    "net/core/dev.c": b"dev\n", "MAINTAINERS": b"all\n",
}  # fmt: skip


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "store.git")


async def test_a_judge_has_scripts_and_rules_and_nothing_else(repository: Repository, tmp_path: Path) -> None:
    base = await repository.commit(TREE)
    async with Judges(tmp_path / "judges", repository.store).of(base) as judge:
        assert listing(judge.folder) == {
            "scripts/checkpatch.pl": ("run", b"#!/usr/bin/perl\n"),
            "scripts/kernel-doc": ("file", b"kd\n"),
            ".mailmap": ("file", b"map\n"),
        }
        assert judge.rules == (".mailmap",)


async def test_bases_with_the_same_judges_share_them(repository: Repository, tmp_path: Path) -> None:
    judges = Judges(tmp_path / "judges", repository.store)
    base = await repository.commit(TREE)
    near = await repository.commit({"net/core/dev.c": b"new\n"}, base)
    far = await repository.commit({"scripts/kernel-doc": b"newer\n"}, near)
    async with judges.of(base) as one, judges.of(near) as two, judges.of(far) as three:
        assert one.folder == two.folder != three.folder


async def test_no_more_are_kept_than_shall_be_but_none_that_is_used(repository: Repository, tmp_path: Path) -> None:
    judges = Judges(tmp_path / "judges", repository.store)
    folders = []
    for number in range(4):
        async with judges.of(await repository.commit({**TREE, "scripts/x": b"%d" % number})) as judge:
            os.utime(f"{judge.folder}.lock", (number, number))
            folders.append(judge.folder)
    async with judges.of(await repository.commit({**TREE, "scripts/x": b"0"})) as used:
        os.utime(f"{used.folder}.lock", (0, 0))
        judges.sweep(kept=2)
        assert [folder.exists() for folder in folders] == [True, False, True, True]
    judges.sweep(kept=2)
    assert [folder.exists() for folder in folders] == [False, False, True, True]


async def test_a_base_without_any_has_an_empty_judge(repository: Repository, tmp_path: Path) -> None:
    async with Judges(tmp_path / "judges", repository.store).of(await repository.commit({"a": b""})) as judge:
        assert listing(judge.folder) == {}


def test_a_series_that_changes_judges_is_told() -> None:
    subject = series("scripts/checkpatch.pl", "net/core/dev.c", ".mailmap")
    assert changed_judges(subject) == ("scripts/checkpatch.pl", ".mailmap")
    assert judged_note(subject, {*SCRIPTS, *RULES}) == (
        "judged by the base's scripts: this series changes scripts/checkpatch.pl, .mailmap",
    )
    assert judged_note(series("net/core/dev.c", "scripts.c"), {*SCRIPTS, *RULES}) == ()


def test_only_of_judges_that_were_used_it_is_told() -> None:
    subject = series("scripts/checkpatch.pl", "net/core/dev.c", ".mailmap")
    assert judged_note(subject, ()) == ()
    assert judged_note(subject, {".mailmap"}) == ("judged by the base's scripts: this series changes .mailmap",)
    assert judged_note(subject, SCRIPTS) == (
        "judged by the base's scripts: this series changes scripts/checkpatch.pl",
    )  # fmt: skip
