"""Backup and restore: taken while events are written, restored into an empty place, and going on from there."""

import asyncio
import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import uuid
from argparse import Namespace
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from services import upkeep
from shared.blobs.disk import DiskBlobs
from shared.db.embedded import Embedded, running
from shared.db.migrate import migrate
from shared.db.outbox import SQL, stage
from shared.db.pool import Pool, connect, open_pool
from shared.db.sequencer import drain
from shared.errors import Refused
from shared.events import TreeMoved
from shared.settings import Settings, parse
from shared.web.cursor import log_of, parse_cursor
from shared.web.sse import SQL as STREAM


@pytest.fixture
def places() -> Iterator[tuple[Path, Path, Path]]:
    """The data folder, another one, and where the backup goes."""
    folder = Path(tempfile.mkdtemp(prefix="netci-upkeep-", dir="/var/tmp"))
    folder.chmod(0o711)
    yield folder / "one", folder / "two", folder / "backup"
    shutil.rmtree(folder, ignore_errors=True)


def settings_for(data: Path, url: str = "") -> Settings:
    return parse(f'data = "{data}"\nprojects = {{}}\n[database]\nurl = "{url}"\n')


async def write(pool: Pool, n: int) -> None:
    async with pool.acquire() as conn:
        async with conn.transaction():
            await stage(conn, "branch", TreeMoved(project="netdev", tree=f"t{n}", head="0" * 40))
        await drain(conn)


@contextlib.asynccontextmanager
async def writing(dsn: str) -> AsyncIterator[None]:
    """Events come in all the time."""

    async def for_ever() -> None:
        async with open_pool(dsn) as pool:
            for n in range(100, 100_000):
                await write(pool, n)

    task = asyncio.ensure_future(for_ever())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def furnish(dsn: str, data: Path) -> tuple[str, str]:
    """Some state of every kind; returns a blob's name and a reader's cursor."""
    async with open_pool(dsn) as pool:
        for n in range(5):
            await write(pool, n)
        blob = await DiskBlobs(data / "blobs").put(b"a log")
        await pool.execute(SQL["record_blob"], blob, 5, 5, "public")
        await pool.execute("insert into floor.leases values ('poller:x', 7, 'who died', now() + interval '1 day')")
        await pool.execute(
            "insert into floor.work (room, kind, key, state, lease_number, lease_holder, lease_until) "
            "values ('branch', 'apply', '1', 'leased', 7, 'who died', now() + interval '1 day')"
        )
        state = await pool.fetchrow(STREAM["log_state"])
        assert state is not None
        return blob, f"{state['last']}-{log_of(state).epoch}"


async def backup(settings: Settings, folder: Path) -> int:
    return await upkeep._backup(Namespace(folder=folder), settings)


async def restore(settings: Settings, folder: Path) -> int:
    return await upkeep._restore(Namespace(folder=folder), settings)


async def test_a_backup_taken_while_events_are_written_goes_on_elsewhere(places: tuple[Path, Path, Path]) -> None:
    one, two, folder = places
    (one / "git" / "net.git").mkdir(parents=True)
    (one / "git" / "net.git" / "HEAD").write_text("ref: refs/heads/main\n")
    async with running(Embedded(one, fsync=False)) as dsn:
        await migrate(dsn)
        blob, cursor = await furnish(dsn, one)
        async with writing(dsn):
            assert await backup(settings_for(one), folder) == 0
            with pytest.raises(Refused, match="is there already"):
                await backup(settings_for(one), folder)
    assert folder.stat().st_mode & 0o077 == 0

    assert await restore(settings_for(two), folder) == 0
    assert (two / "git" / "net.git" / "HEAD").read_text() == "ref: refs/heads/main\n"
    assert await DiskBlobs(two / "blobs").get(blob) == b"a log"
    with pytest.raises(Refused, match="not empty"):
        await restore(settings_for(two), folder)
    async with running(Embedded(two, fsync=False)) as dsn:
        assert await migrate(dsn) == []
        async with open_pool(dsn) as pool:
            await look_at_the_restored(pool, cursor)


async def look_at_the_restored(pool: Pool, cursor: str) -> None:
    state = await pool.fetchrow(STREAM["log_state"])
    assert state is not None
    numbers = [r["sequence"] for r in await pool.fetch("select sequence from floor.events order by 1")]
    assert numbers == list(range(1, state["last"] + 1))
    assert len(numbers) >= 5
    assert log_of(state).gap(parse_cursor(cursor)), "a reader from before is told"
    assert await pool.fetchval("select count(*) from floor.leases") == 0
    assert await pool.fetchval("select state from floor.work") == "ready"
    before = await pool.fetchval("select max(id) from floor.work")
    await pool.execute("insert into floor.work (room, kind, key) values ('branch', 'apply', '2')")
    assert await pool.fetchval("select max(id) from floor.work") > before
    # What was staged but not yet numbered when the dump was taken comes first.
    staged = await pool.fetchval("select count(*) from floor.outbox")
    await write(pool, 1)
    assert await pool.fetchval("select max(sequence) from floor.events") == state["last"] + staged + 1
    await pool.execute("set role netci_branch")
    assert await pool.fetchval("select count(*) from ingest.series_v") == 0


async def test_a_database_that_is_not_empty_is_refused(places: tuple[Path, Path, Path]) -> None:
    one, _, folder = places
    folder.mkdir()
    (folder / upkeep.MARK).write_text("{}")
    async with running(Embedded(one, fsync=False)) as dsn:
        await migrate(dsn)
        with pytest.raises(Refused, match="the database is not empty"):
            await restore(settings_for(one), folder)


async def test_what_is_no_backup_is_refused(places: tuple[Path, Path, Path]) -> None:
    one, _, folder = places
    with pytest.raises(Refused, match="is no backup"):
        await restore(settings_for(one), folder)
    assert not one.exists()


async def test_a_data_folder_that_is_not_empty_is_refused(places: tuple[Path, Path, Path]) -> None:
    one, _, folder = places
    folder.mkdir()
    (folder / upkeep.MARK).write_text("{}")
    (one / "blobs" / "aa").mkdir(parents=True)
    with pytest.raises(Refused, match="it has blobs"):
        await restore(settings_for(one), folder)


async def test_a_backup_waits_for_retention(places: tuple[Path, Path, Path], server: str) -> None:
    """What the dump refers to must not be taken away before it is copied."""
    one, _, folder = places
    name = f"wait_{uuid.uuid4().hex[:8]}"
    owner = await connect(server)
    await owner.execute(f"create database {name}")
    dsn = server.replace("/netci?", f"/{name}?")
    try:
        await migrate(dsn)
        conn = await connect(dsn)
        await conn.execute("insert into floor.leases values ('retention', 1, 'another', now() + interval '1 hour')")
        task = asyncio.ensure_future(backup(settings_for(one, dsn), folder))
        await asyncio.sleep(1)
        assert not folder.with_name("backup.part").joinpath("database.dump").exists()
        await conn.execute("delete from floor.leases")
        async with asyncio.timeout(30):
            assert await task == 0
        await conn.close()
    finally:
        await owner.execute(f"drop database {name} with (force)")
        await owner.close()


def test_what_vanishes_while_it_is_copied_is_not_missed(places: tuple[Path, Path, Path]) -> None:
    one, two, _ = places
    (one / "aa").mkdir(parents=True)
    (one / "aa" / ".new-x").write_text("half")
    (one / "aa" / "kept").write_text("whole")
    os.symlink("nowhere", one / "aa" / "link")
    upkeep._copy(one, two)
    assert sorted(p.name for p in (two / "aa").iterdir()) == ["kept", "link"]


def test_pg_dump_is_beside_postgres() -> None:
    from shared.db.embedded import find_binaries

    for program in ("pg_dump", "pg_restore", "initdb"):
        assert (find_binaries().folder / program).exists()


def test_wrong_use_ends_with_two(tmp_path: Path) -> None:
    config = tmp_path / "netci.toml"
    config.write_text(f'data = "{tmp_path}"\nprojects = {{}}\n')
    done = subprocess.run(
        [sys.executable, "-m", "services", "--config", str(config), "restore", str(tmp_path / "none")],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "is no backup" in done.stderr
