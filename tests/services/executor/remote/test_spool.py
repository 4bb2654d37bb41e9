"""What a spool holds, in which order it is told, and when it is forgotten."""

import shutil
from pathlib import Path

import pytest

from services.executor.remote.spool import Spool, is_owned, key_of, owned
from shared.errors import Refused
from tests.services.executor.remote.build import a_branch, a_spool, an_order


def kinds(run: object) -> list[str]:
    return [record["kind"] for _, record in run.unsent()]  # type: ignore[attr-defined]


def test_a_branch_heard_of_twice_is_one_order(tmp_path: Path) -> None:
    spool = a_spool(tmp_path)
    run = an_order(spool)
    assert not spool.order(run.branch, "net", run.branch.announced)
    assert not Spool(tmp_path).order(run.branch, "net", run.branch.announced)
    assert Spool(tmp_path).order(run.branch, "other", run.branch.announced)


def test_another_commit_under_the_same_name_is_another_order(tmp_path: Path) -> None:
    first, second = a_branch(9), a_branch(10)
    assert key_of(first, "net") != key_of(second, "net")
    assert all(c.isalnum() or c in "._-" for c in key_of(a_branch(9, stream="a/b:c d"), "net"))


def test_what_is_to_be_told_is_told_in_order_and_of_expectations_the_last(tmp_path: Path) -> None:
    run = an_order(a_spool(tmp_path))
    for record in ({"kind": "open"}, {"kind": "expect", "end": "a"}, {"kind": "began"}, {"kind": "cases"}):
        run.journal.append(record)
    run.journal.append({"kind": "expect", "end": "b"})
    assert kinds(run) == ["open", "cases", "expect"]
    for number, _ in run.unsent():
        run.taken(number, "7" if number == 1 else None)
    assert (kinds(run), run.run_id) == ([], "7")
    again = Spool(tmp_path).runs[run.key]
    assert (kinds(again), again.run_id) == ([], "7")


def test_begun_anew_all_is_told_once_more_under_other_keys(tmp_path: Path) -> None:
    run = an_order(a_spool(tmp_path))
    number = run.journal.append({"kind": "open"})
    run.taken(number, "7")
    key = run.idempotency_key(number)
    run.begin_anew(1)
    assert (kinds(run), run.run_id, run.attempt) == (["open"], None, 1)
    assert run.idempotency_key(number) != key


def test_what_was_refused_is_kept_when_the_run_is_forgotten(tmp_path: Path) -> None:
    spool = a_spool(tmp_path)
    run = an_order(spool)
    (run.folder / "logs.pack").write_bytes(b"logs")
    for record in ({"kind": "open"}, {"kind": "artifact", "file": "logs.pack"}, {"kind": "end"}):
        run.journal.append(record)
    assert not spool.clean(run)
    for number, what in run.unsent():
        if what["kind"] == "artifact":
            run.reject(number, "413: too large")
        else:
            run.taken(number, "7" if what["kind"] == "open" else None)
    assert spool.clean(run)
    assert not run.folder.exists()
    [kept] = Spool(tmp_path).rejected()
    assert (kept["kind"], kept["why"], kept["executor"]) == ("artifact", "413: too large", "net")
    assert [path.read_bytes() for path in (tmp_path / "rejected" / run.key).glob("*.pack")] == [b"logs"]


def test_a_folder_without_its_order_is_rubbish(tmp_path: Path) -> None:
    run = an_order(a_spool(tmp_path))
    shutil.copytree(run.folder, tmp_path / "runs" / "half")
    (tmp_path / "runs" / "half" / "journal").write_bytes(b"0000")
    assert list(Spool(tmp_path).runs) == [run.key]
    assert [path.name for path in (tmp_path / "runs").iterdir()] == [run.key]


def test_one_process_has_it(tmp_path: Path) -> None:
    assert not is_owned(tmp_path)
    with owned(tmp_path):
        assert is_owned(tmp_path)
        with pytest.raises(Refused, match="another netci remote"), owned(tmp_path):
            pass
    assert not is_owned(tmp_path)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Refused, match=r"data = .*file"), owned(tmp_path / "file"):
        pass
