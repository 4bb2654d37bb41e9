"""What a test printed: a file of its own for the first few hundred, whatever is beyond or oddly named in one pack."""

from datetime import timedelta
from pathlib import Path

import pytest

from services.executor.endings import Ending
from services.executor.remote import sink as module
from services.executor.remote.sink import SpoolSink
from services.executor.remote.spool import SpooledRun
from services.executor.suites.attempt import Attempt
from shared.blobs.pack import names
from shared.model.results import Case, Result
from tests.services.executor.remote.build import NOW, a_spool, an_order


async def told(folder: Path, *tests: str) -> SpooledRun:
    """A run of such tests that has ended."""
    spool = a_spool(folder)
    run = an_order(spool)
    sink = SpoolSink(spool, run, NOW + timedelta(hours=1))
    for test in tests:
        files = {f"g/{test}/0/stdout": test.encode()}
        await sink.ended(Attempt("g", test, 0, (Case("g", test, Result.PASS),), files, 1.0), "h", NOW)
    await sink.end(Ending())
    return run


def posted(run: SpooledRun) -> list[str]:
    return [record["name"] for record in run.journal.of("artifact")]


async def test_each_has_a_file_of_its_own(tmp_path: Path) -> None:
    assert posted(await told(tmp_path, "a", "b")) == ["g/a/0.log", "g/b/0.log"]


async def test_what_is_beyond_goes_into_a_pack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FILES", 1)
    run = await told(tmp_path, "a", "b", "c")
    assert posted(run) == ["g/a/0.log", "logs.pack"]
    assert set(names((run.folder / "logs.pack").read_bytes())) == {"run", "g/b/0/stdout", "g/c/0/stdout"}


async def test_a_name_that_is_no_path_goes_into_the_pack(tmp_path: Path) -> None:
    assert posted(await told(tmp_path, "..")) == ["logs.pack"]
