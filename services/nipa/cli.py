"""The command ``netci import nipa``."""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from services.nipa.account import Account
from services.nipa.configuration import Given, read_configuration, read_filters, read_ini, read_remotes, toml
from services.nipa.database import Database
from services.nipa.files import Files, read_json
from services.nipa.found import FoundBranch, FoundRun, Source
from services.nipa.history import Bounds, History
from services.nipa.naming import Dated, dated
from services.nipa.tables import count_history, take_devices, take_stability
from shared.clock import wall
from shared.db.keep import LEASE_NAME as RETENTION
from shared.db.lease import held
from shared.db.pool import connect, open_pool
from shared.errors import Refused
from shared.floor import connected, dsn_of, holder
from shared.settings import Settings

LEASE = "import nipa"
EVERY = 1.0
"""Seconds between two words of progress."""


def add(commands: Any) -> None:
    """Add the command."""
    source = commands.add_parser("import", help="history and configuration of another CI")
    kinds = source.add_subparsers(required=True, metavar="FROM")
    nipa = kinds.add_parser(
        "nipa", help="of a NIPA installation",
        description="Take branches, results, stability, devices and configuration of a NIPA installation. It can be "
        "run again: what is there is left as it is. docs/how-to/come-from-nipa.md goes through it.",
    )  # fmt: skip
    results = nipa.add_mutually_exclusive_group()
    results.add_argument("--results", nargs="+", type=Path, default=[], metavar="PATH", help="result files, or folders")
    results.add_argument(
        "--dsn", default="", metavar="URL",
        help="NIPA's database, read only: postgresql://… without a password, which PGPASSWORD or ~/.pgpass holds",
    )  # fmt: skip
    for name, words in (
        ("branches", "branches.json"), ("infos", "branches-info.json"), ("remote-db", "the collector's remote_db"),
        ("filters", "filters.json"), ("stability", "rows of /query/stability"),
        ("devices", "rows of /query/device-info"),
    ):  # fmt: skip
        nipa.add_argument(f"--{name}", type=Path, metavar="FILE", help=words)
    nipa.add_argument("--configuration", type=Path, metavar="FOLDER", help="the folder with NIPA's *.config files")
    nipa.add_argument("--project", default="", help="whose history it is; needed where several are configured")
    nipa.add_argument("--dry-run", action="store_true", help="read everything, say what would be done, write nothing")
    nipa.add_argument("--json", action="store_true", help="the account, for programs")
    nipa.set_defaults(run=run)


async def run(args: argparse.Namespace, settings: Settings) -> int:
    """Exit code 1 if nothing at all could be taken of what was named."""
    _check_dsn(args.dsn)
    project, account = _project(args.project, settings), Account()
    snippet = await asyncio.to_thread(_configuration, args, project, account)
    if any((args.results, args.dsn, args.stability, args.devices)):
        await _history(args, settings, project, account)
    elif not snippet:
        named = [f"--{name}" for name in ("branches", "infos") if getattr(args, name)]
        raise Refused(
            f"{' and '.join(named)}: of use with --results only"
            if named
            else "nothing to import was named, or there is nothing in it: see netci import nipa --help"
        )
    code = 1 if account.barren else 0
    if args.json:
        print(json.dumps({"dry_run": args.dry_run, **account.as_json(), "configuration": snippet}, indent=1))
        return code
    print("\n".join(account.lines(args.dry_run)))
    if snippet:
        print(f"\n# For netci.toml:\n\n{snippet}", end="")
    return code


def _check_dsn(dsn: str) -> None:
    """Raises Refused for a password that everybody on this machine can read."""
    try:
        parts = urlsplit(dsn)
        shown = parts.password is not None or "password" in parse_qs(parts.query)
    except ValueError as exc:
        raise Refused(f"--dsn: {exc}") from None
    if shown:
        raise Refused("--dsn: a password in it stands in the list of processes; put it into PGPASSWORD or ~/.pgpass")


def _project(name: str, settings: Settings) -> str:
    known = list(settings.projects)
    if not name and len(known) == 1:
        return known[0]
    if name not in known:
        raise Refused(
            f"--project: {f'no {name!r}' if name else 'say whose history it is'}; there is {', '.join(known)}"
        )
    return name


def _configuration(args: argparse.Namespace, project: str, account: Account) -> str:
    given = Given()
    if folder := args.configuration:
        files = sorted(folder.glob("*.config"))
        if not files:
            raise Refused(f"{folder}: there are no *.config files")
        inis = [read_ini(path.read_text("utf-8", "replace"), str(path), account) for path in files]
        read_configuration(inis, given, account)
    if args.remote_db:
        read_remotes(read_json(args.remote_db), given, account)
    if args.filters:
        read_filters(read_json(args.filters), given, account)
    return toml(given, project)


async def _history(args: argparse.Namespace, settings: Settings, project: str, account: Account) -> None:
    now = wall()
    async with connected(settings) as conn, _alone(settings), _source(args, account) as source:
        history = History(conn, project, account, Bounds(now - settings.keep.cases, now), args.dry_run)
        await _branches(source, history, account)
        await take_devices(conn, await source.devices(), account, args.dry_run)
        await take_stability(conn, await source.stability(), account, args.dry_run)
        if not args.dry_run:
            _say("counting stability …")
            await count_history(conn)


@asynccontextmanager
async def _alone(settings: Settings) -> AsyncIterator[None]:
    """Two imports at a time would give the same numbers; retention would take days away that are being filled."""
    async with open_pool(dsn_of(settings), size=2) as pool:
        async with held(pool, LEASE, holder()), held(pool, RETENTION, holder()):
            yield


@asynccontextmanager
async def _source(args: argparse.Namespace, account: Account) -> AsyncIterator[Source]:
    files = Files(args.results, args.branches, args.infos, args.stability, args.devices, account)
    if not args.dsn:
        yield files
        return
    conn = await connect(args.dsn)
    try:
        await conn.execute("set default_transaction_read_only = on; set statement_timeout = '10min'")
        database = Database(conn)
        if pending := await database.pending():
            account.leave("runs", "is pending", count=pending)
        yield Both(database, files)
    finally:
        await conn.close()


@dataclass(frozen=True, slots=True)
class Both:
    """A database, and files beside it that say more of branches, stability and devices. See `Source`."""

    database: Database
    files: Files

    async def branches(self) -> Mapping[str, FoundBranch]:
        return {**await self.files.branches(), **await self.database.branches()}

    async def names(self) -> list[str]:
        return await self.database.names()

    def runs(self, branch: str) -> AsyncIterator[FoundRun]:
        return self.database.runs(branch)

    async def stability(self) -> list[Mapping[str, Any]]:
        return [*await self.database.stability(), *await self.files.stability()]

    async def devices(self) -> list[Mapping[str, Any]]:
        return [*await self.database.devices(), *await self.files.devices()]


async def _branches(source: Source, history: History, account: Account) -> None:
    """Every branch that is listed or has runs, the oldest first."""
    known = await source.branches()
    wanted: list[tuple[Dated, str]] = []
    for name in {*known, *await source.names()}:
        if (found := dated(name)) is None:
            account.leave("branches", "has no date at the end of its name", name)
        else:
            wanted.append((found, name))
    wanted.sort(key=lambda one: (one[0].slot, one[1]))
    said = 0.0
    for number, (found, name) in enumerate(wanted, 1):
        runs = [run async for run in source.runs(name)]
        await history.take(known.get(name) or FoundBranch(name), found, runs)
        if time.monotonic() - said > EVERY or number == len(wanted):
            said = time.monotonic()
            _say(f"branch {number} of {len(wanted)}: {name}")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
