"""`netci up`, `netci run` and `netci demo`: processes that stay."""

import argparse
import asyncio
import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import structlog

from shared.db.embedded import Embedded, running
from shared.db.migrate import migrate, pending
from shared.errors import Refused
from shared.floor import dsn_of
from shared.service import MakeRoom, Readiness, run_rooms
from shared.settings import Settings
from shared.signals import stop_on_signals

log = structlog.get_logger(__name__)

Makers = Callable[[Sequence[str]], dict[str, MakeRoom]]


def add(commands: Any, makers: Makers, rooms: Sequence[str]) -> None:
    """Add the commands."""
    up = commands.add_parser(
        "up", help="all rooms in one process", description="Run all rooms in one process. Without [database] in the "
        "configuration it starts a PostgreSQL of its own under `data`, which ends with it.",
    )  # fmt: skip
    up.set_defaults(run=lambda args, settings: _up(settings, makers(rooms)))
    run = commands.add_parser(
        "run", help="one room or several, as a process of their own",
        description="Run the named rooms. The database must be there and migrated (`netci migrate`). With "
        "NETCI_HEALTH_LISTEN=HOST:PORT in the environment the process answers /healthz, /readyz and /metrics there.",
    )  # fmt: skip
    run.add_argument("rooms", nargs="+", choices=rooms, metavar="ROOM", help=", ".join(rooms))
    run.set_defaults(run=lambda args, settings: _run(settings, makers(args.rooms)))
    _add_demo(commands)


def _add_demo(commands: Any) -> None:
    demo = commands.add_parser(
        "demo", help="the whole road on practice servers",
        description="Start a practice Patchwork, git tree and SSH hosts on loopback, run netci against them, post "
        "several series, cut branches, test them and report; print what happens as it happens.",
    )  # fmt: skip
    demo.add_argument("--once", action="store_true", help="end with a table; exit 0 only if every verdict is right")
    demo.add_argument("--seed", type=int, default=0, help="vary series, files, tests and order")
    demo.add_argument("--listen", default="127.0.0.1:8080", help="where the pages are (default %(default)s)")
    demo.add_argument(
        "--link",
        type=Path,
        default=Path("/var/tmp/netci-demo"),
        help="leads to the demo's folder (default %(default)s)",
    )
    demo.add_argument("--keep", action="store_true", help="leave the demo's folder for a look afterwards")
    demo.set_defaults(run=_demo, bare=True)


async def _demo(args: argparse.Namespace, settings: None) -> int:
    from shared.practice.demo import demo

    return await demo(seed=args.seed, once=args.once, listen=args.listen, keep=args.keep, link=args.link)


async def _up(settings: Settings, makers: dict[str, MakeRoom]) -> int:
    _make_data(settings)
    async with _database(settings) as dsn:
        for name in await migrate(dsn):
            log.info("migrated", name=name)
        log.info("up", pages=settings.public_url, listen=settings.web.listen, data=str(settings.data))
        await _stay(settings, makers)
    return 0


async def _run(settings: Settings, makers: dict[str, MakeRoom]) -> int:
    if missing := await pending(dsn_of(settings)):
        raise Refused(f"the database lacks {len(missing)} migrations: run `netci migrate` as its owner")
    _make_data(settings)
    await _stay(settings, makers)
    return 0


def _make_data(settings: Settings) -> None:
    try:
        settings.data.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise Refused(
            f"data = {str(settings.data)!r}: {exc.strerror}; name a folder that this user may write"
        ) from None


@asynccontextmanager
async def _database(settings: Settings) -> AsyncIterator[str]:
    """The configured server, or one of our own."""
    if settings.database.url or settings.database.url_env or settings.database.url_file:
        yield dsn_of(settings)
        return
    async with running(Embedded(settings.data)) as dsn:
        yield dsn


async def _stay(settings: Settings, makers: dict[str, MakeRoom]) -> None:
    stop = asyncio.Event()
    stop_on_signals(stop)
    readiness = Readiness(list(makers))
    async with _health(readiness):
        await run_rooms(settings, makers, readiness, stop)


@asynccontextmanager
async def _health(readiness: Readiness) -> AsyncIterator[None]:
    """/healthz, /readyz and /metrics of this process, where the environment asks for them."""
    if not (where := os.environ.get("NETCI_HEALTH_LISTEN")):
        yield
        return
    from shared.web.app import listen, make_app

    async with asyncio.TaskGroup() as group:
        task = group.create_task(listen(make_app(ready=readiness), where))
        yield
        task.cancel()
