"""`netci migrate`, `netci backup`, `netci restore`: looking after the data.

A backup is a folder: the database first, as pg_dump writes it, then the blobs and git stores that were there when
the dump was taken. Blobs are never changed and rows only refer to blobs that exist, so copying them after the dump
cannot miss one. A restore begins a new epoch of the log's cursors: numbers given out after the backup may come
again for other events, and a reader from before is told of a gap instead of being served them.
"""

import argparse
import asyncio
import contextlib
import json
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from shared.clock import wall
from shared.db.embedded import Embedded, attach, find_binaries, running
from shared.db.keep import LEASE_NAME as RETENTION
from shared.db.lease import held
from shared.db.migrate import migrate, pending
from shared.db.pool import connect, open_pool
from shared.errors import InfraError, Missing, Refused
from shared.floor import dsn_of, holder
from shared.settings import Settings

MARK = "netci-backup.json"
SCHEMAS = ("public", "floor", "ledger", "ingest", "branch", "executor", "report")
FOLDERS = ("blobs", "git", "rr-cache")


def add(commands: Any) -> None:
    """Add the commands."""
    up = commands.add_parser("migrate", help="bring the database up to this version")
    up.set_defaults(run=_migrate)
    save = commands.add_parser(
        "backup", help="database, blobs and git stores into a folder",
        description="Take a backup while everything runs. FOLDER is made; it must not exist yet.",
    )  # fmt: skip
    save.add_argument("folder", type=Path, metavar="FOLDER")
    save.set_defaults(run=_backup)
    load = commands.add_parser(
        "restore", help="a backup into an empty place",
        description="Restore a backup into an empty database and data folder; netci must not run meanwhile. Readers "
        "of the event stream from before the backup are told of a gap.",
    )  # fmt: skip
    load.add_argument("folder", type=Path, metavar="FOLDER")
    load.set_defaults(run=_restore)


@asynccontextmanager
async def _reached(settings: Settings) -> AsyncIterator[str]:
    """The database: the configured one, that of a running `netci up`, else our own for the while."""
    if settings.database.url or settings.database.url_env or settings.database.url_file:
        yield dsn_of(settings)
        return
    place = Embedded(settings.data)
    try:
        dsn = await attach(place)
    except Missing:
        async with running(place) as dsn:
            yield dsn
        return
    yield dsn


async def _migrate(args: argparse.Namespace, settings: Settings) -> int:
    async with _reached(settings) as dsn:
        for name in await migrate(dsn):
            print(f"applied {name}")
        print("the database is up to date")
    return 0


# Backup


async def _backup(args: argparse.Namespace, settings: Settings) -> int:
    folder: Path = args.folder
    if folder.exists():
        raise Refused(f"{folder} is there already; name a folder that is not")
    partial = folder.with_name(folder.name + ".part")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True, mode=0o700)
    async with _reached(settings) as dsn, open_pool(dsn, size=2) as pool:
        # Nothing is taken away meanwhile: the dump refers to blobs that are copied after it.
        async with held(pool, RETENTION, holder()):
            print("database …", flush=True)
            await _pg("pg_dump", dsn, "--format=custom", "--no-owner", f"--file={partial / 'database.dump'}")
            facts = await _facts(dsn)
            for name in FOLDERS:
                print(f"{name} …", flush=True)
                await asyncio.to_thread(_copy, settings.data / name, partial / name)
    (partial / MARK).write_text(json.dumps(facts, indent=1))
    os.replace(partial, folder)
    print(f"{folder}: {facts['events']} events, {facts['runs']} runs, {facts['blobs']} blobs")
    return 0


async def _facts(dsn: str) -> dict[str, Any]:
    conn = await connect(dsn)
    try:
        counts = {
            name: await conn.fetchval(f"select count(*) from {table}")
            for name, table in (("events", "floor.events"), ("runs", "ledger.runs"), ("blobs", "floor.blobs"))
        }
        version = await conn.fetchval("show server_version_num")
    finally:
        await conn.close()
    return {"made": wall().isoformat(), "postgres": int(version) // 10000, **counts}


def _copy(source: Path, target: Path) -> None:
    """Copy what is there; files that vanish meanwhile (temporary ones of git) are not part of the state."""
    if not source.is_dir():
        target.mkdir()
        return

    def vanishing(src: str, dst: str) -> str:
        with contextlib.suppress(FileNotFoundError):
            shutil.copy2(src, dst)
        return dst

    ignored = shutil.ignore_patterns(".new-*", "*.lock")
    try:
        shutil.copytree(source, target, copy_function=vanishing, symlinks=True, ignore=ignored)
    except shutil.Error as exc:
        # A folder of loose objects that git packed meanwhile.
        if left := [text for path, _, text in exc.args[0] if Path(path).exists()]:
            raise InfraError(f"cannot copy {source}: {left[0]}") from exc


def _without_password(dsn: str) -> tuple[str, str]:
    """The address and the password apart: command lines are read by everybody on the machine."""
    parts = urlsplit(dsn)
    if not parts.password:
        return dsn, ""
    user, _, at = parts.netloc.rpartition("@")
    return parts._replace(netloc=f"{user.partition(':')[0]}@{at}").geturl(), unquote(parts.password)


async def _pg(program: str, dsn: str, *options: str) -> None:
    path = find_binaries().folder / program
    if not path.exists():
        raise Missing(f"{program} is missing beside postgres: apt-get install postgresql-client")
    bare, password = _without_password(dsn)
    process = await asyncio.create_subprocess_exec(
        str(path),
        f"--dbname={bare}",
        *options,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=os.environ | ({"PGPASSWORD": password} if password else {}),
    )
    try:
        async with asyncio.timeout(3600):
            _, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    if process.returncode:
        raise InfraError(f"{program} failed: {err.decode(errors='replace').strip()[-800:]}")


# Restore


async def _restore(args: argparse.Namespace, settings: Settings) -> int:
    folder: Path = args.folder
    if not (folder / MARK).is_file():
        raise Refused(f"{folder} is no backup: it has no {MARK}")
    _must_be_empty(settings)
    settings.data.mkdir(parents=True, exist_ok=True)
    if os.getuid() == 0:
        settings.data.chmod(settings.data.stat().st_mode | 0o011)
    async with _reached(settings) as dsn:
        await _empty_database(dsn)
        print("database …", flush=True)
        await _pg("pg_restore", dsn, "--no-owner", "--exit-on-error", str(folder / "database.dump"))
        await migrate(dsn)
        await _new_epoch(dsn)
        if missing := await pending(dsn):
            raise InfraError(f"migrations are missing after the restore: {missing}")
    for name in FOLDERS:
        print(f"{name} …", flush=True)
        await asyncio.to_thread(shutil.copytree, folder / name, settings.data / name, symlinks=True, dirs_exist_ok=True)
    print("restored; start with `netci up` (or `netci run …`): it goes on from where the backup was taken")
    return 0


def _must_be_empty(settings: Settings) -> None:
    full = [name for name in FOLDERS if (settings.data / name).is_dir() and any((settings.data / name).iterdir())]
    if full:
        raise Refused(f"{settings.data} is not empty (it has {', '.join(full)}): restore into an empty data folder")


async def _empty_database(dsn: str) -> None:
    """Make the roles that grants in the dump name. Raises Refused if the database holds anything of netci's."""
    conn = await connect(dsn)
    try:
        if await conn.fetchval("select to_regclass('floor.events')") is not None:
            raise Refused("the database is not empty: restore into an empty one")
        for room in ("ingest", "branch", "executor", "report"):
            there = await conn.fetchval("select 1 from pg_roles where rolname = $1", f"netci_{room}")
            if not there:
                await conn.execute(f"create role netci_{room} nologin")
    finally:
        await conn.close()


async def _new_epoch(dsn: str) -> None:
    """Leases and processes of then are nobody's now; cursors of then may mean other events."""
    conn = await connect(dsn)
    try:
        async with conn.transaction():
            await conn.execute("update floor.sequencer set epoch = gen_random_uuid()")
            await conn.execute("delete from floor.leases")
            # Above every number that was drawn after the backup: hosts refuse a number older than they have seen.
            await conn.execute("select setval('floor.lease_numbers', (extract(epoch from now()) * 100)::bigint)")
            await conn.execute("delete from floor.processes")
            await conn.execute(
                "update floor.work set state = 'ready', due = now(), lease_until = null, lease_holder = null "
                "where state = 'leased'"
            )
    finally:
        await conn.close()
