"""`netci hook`: webhooks by an operator's hand. Whatever the API does for one owner, this does for all."""

import argparse
import asyncio
import getpass
import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from services.report.hooks import manage
from services.report.hooks.address import parse
from services.report.hooks.api import desk_of, span_of
from services.report.hooks.manage import OVERLAP, Asker, Order, types_of
from services.report.hooks.sees import Wish
from services.report.hooks.store import SQL
from shared.arguments import duration
from shared.clock import wall
from shared.db.pool import Connection, Record
from shared.errors import Missing, Refused
from shared.floor import connected
from shared.settings import Settings

PING_WAIT = 30.0
"""Seconds that a ping's outcome is waited for."""


def add(commands: Any) -> None:
    """Add the command."""
    hook = commands.add_parser(
        "hook", help="webhooks: who is told what happens, and whether it arrives",
        description="Webhooks of all owners. Labs manage their own over /api/v1/webhooks with a token.",
    )  # fmt: skip
    verbs = hook.add_subparsers(required=True, metavar="VERB")
    _add_add(verbs)
    shown = verbs.add_parser("list", help="all webhooks, how they fare and what waits")
    shown.add_argument("--json", action="store_true")
    shown.set_defaults(run=_list)
    for name, run, words in (
        ("show", _show, "one webhook: all that is known of it"),
        ("remove", _remove, "remove it, with its log"),
        ("resume", _resume, "go on after a pause, or after it was disabled"),
        ("ping", _ping, "send a ping and say how it ended"),
    ):
        _verb(verbs, name, run, words)
    _verb(verbs, "pause", _pause, "hold back what is sent").add_argument("--why", required=True, help="kept with it")
    turn = _verb(verbs, "rotate", _rotate, "a new secret; requests are signed with both for a while")
    turn.add_argument("--overlap", type=duration, default=OVERLAP, metavar="TIME", help="default 1d")
    log = _verb(verbs, "deliveries", _deliveries, "what was sent, newest first; with a number every attempt of one")
    log.add_argument("delivery", nargs="?", type=int, help="the number of one")
    log.add_argument("--state", choices=("due", "sending", "delivered", "failed", "dropped"))
    log.add_argument("--most", type=int, default=50, help="how many (50)")
    log.add_argument("--json", action="store_true")
    again = _verb(verbs, "redeliver", _redeliver, "send one delivery, or a part of the log, again")
    again.add_argument("delivery", nargs="?", type=int, help="the number of one")
    again.add_argument("--from", dest="first", help="a sequence number, or a time as 2026-11-23T09:00:00Z")
    again.add_argument("--to", dest="last", default="", help="the same; default: up to now")


def _add_add(verbs: Any) -> None:
    make = verbs.add_parser(
        "add", help="register an address, and show its secret this once",
        description="Register an address. Without filters it is told of everything that it may see.",
    )  # fmt: skip
    make.add_argument("url", help="https://…; http only in networks of [outgoing] allow_private")
    make.add_argument("--name", default="", help="for lists")
    make.add_argument("--type", action="append", default=[], help="as branch.cut; repeatable")
    make.add_argument("--project", action="append", default=[], help="only events of this project; repeatable")
    make.add_argument("--stream", action="append", default=[], help="only of this stream; repeatable")
    make.add_argument("--remote", action="append", default=[], help="only of this remote's runs; repeatable")
    make.add_argument("--series", action="append", default=[], type=int, help="only of this series; repeatable")
    make.add_argument("--for", dest="owner", default="", metavar="REMOTE", help="whose it is: its tokens manage it")
    make.add_argument("--sees", default="public", choices=("public", "project", "operator"), help="default: public")
    make.add_argument("--json", action="store_true")
    make.set_defaults(run=_add)


def _verb(verbs: Any, name: str, run: Any, words: str) -> Any:
    verb = verbs.add_parser(name, help=words, description=f"{words[0].upper()}{words[1:]}.")
    verb.add_argument("id", help="as `netci hook list` shows it")
    verb.set_defaults(run=run)
    return verb


def _operator() -> Asker:
    return Asker(getpass.getuser(), all=True)


async def _add(args: argparse.Namespace, settings: Settings) -> int:
    if args.owner and args.owner not in {r.name for r in settings.remotes}:
        raise Refused(f"no remote {args.owner!r} is configured")
    wish = Wish(types_of(args.type), *map(tuple, (args.project, args.stream, args.remote, args.series)))
    order = Order(args.url, args.name, wish, args.owner, args.sees)
    async with connected(settings) as conn:
        ident, secret = await desk_of(settings).add(conn, _operator(), order, wall())
    if args.json:
        print(json.dumps({"id": ident, "secret": secret}))
    else:
        print(f"{ident}\n{secret}\n  (the secret is not shown again; try it: netci hook ping {ident})")
    return 0


async def _list(args: argparse.Namespace, settings: Settings) -> int:
    async with connected(settings) as conn:
        rows = await manage.listed(conn, _operator())
    if args.json:
        _print_json([dict(row) for row in rows])
        return 0
    for row in rows:
        print(_line(row))
    if not rows:
        print("no webhooks yet: netci hook add https://…")
    return 0


def _line(row: Record) -> str:
    why = f": {row['why']}" if row["why"] else ""
    last = f"last delivered {row['delivered']:%Y-%m-%d %H:%M}" if row["delivered"] else "nothing delivered yet"
    types = ", ".join(filter(None, (" ".join(row["types"]), *_filters(row)))) or "everything"
    return (
        f"{row['id']}  {row['state']}{why}; {row['waiting']} wait; {last}\n"
        f"    {parse(row['url']).shown} for {row['remote'] or row['made_by']}: {types}"
    )


def _filters(row: Record) -> Iterator[str]:
    for word in ("projects", "streams", "remotes", "series"):
        if chosen := row[f"of_{word}"]:
            yield f"{word} {' '.join(map(str, chosen))}"


async def _show(args: argparse.Namespace, settings: Settings) -> int:
    async with connected(settings) as conn:
        row = dict(await manage.own(conn, _operator(), args.id))
    _print_json({name: value for name, value in row.items() if name not in ("secret", "old_secret")})
    return 0


async def _remove(args: argparse.Namespace, settings: Settings) -> int:
    async with connected(settings) as conn:
        await manage.remove(conn, _operator(), args.id)
    print(f"{args.id} is removed")
    return 0


async def _pause(args: argparse.Namespace, settings: Settings) -> int:
    async with connected(settings) as conn:
        await manage.pause(conn, _operator(), args.id, args.why, wall())
    print(f"{args.id} is paused; what happens meanwhile is kept for it")
    return 0


async def _resume(args: argparse.Namespace, settings: Settings) -> int:
    async with connected(settings) as conn:
        await manage.resume(conn, _operator(), args.id, wall())
    print(f"{args.id} is active")
    return 0


async def _rotate(args: argparse.Namespace, settings: Settings) -> int:
    async with connected(settings) as conn:
        print(await desk_of(settings).rotate(conn, _operator(), args.id, args.overlap, wall()))
    return 0


async def _ping(args: argparse.Namespace, settings: Settings) -> int:
    """Exit code 1 if it was not delivered, or nobody took it up."""
    async with connected(settings) as conn:
        number = await manage.ping(conn, _operator(), args.id, wall())
        row = await _outcome(conn, args.id, number)
        for attempt in await conn.fetch(SQL["attempts"], number):
            print(_attempt(attempt))
    if row["state"] == "due":
        print("nobody took it up: does report run, with [webhooks] key_file?")
    return 0 if row["state"] == "delivered" else 1


async def _outcome(conn: Connection, ident: str, number: int) -> Record:
    loop = asyncio.get_running_loop()
    until = loop.time() + PING_WAIT
    while True:
        row = await conn.fetchrow(SQL["delivery"], ident, number)
        assert row is not None
        if row["state"] not in ("due", "sending") or loop.time() > until:
            return row
        await asyncio.sleep(0.2)


async def _deliveries(args: argparse.Namespace, settings: Settings) -> int:
    async with connected(settings) as conn:
        await manage.own(conn, _operator(), args.id)
        rows = [dict(r) for r in await conn.fetch(SQL["deliveries"], args.id, args.state, None, args.most)]
        if args.delivery is not None:
            found = await conn.fetchrow(SQL["delivery"], args.id, args.delivery)
            if found is None:
                raise Missing(f"no delivery {args.delivery} of {args.id}")
            attempts = await conn.fetch(SQL["attempts"], args.delivery)
            rows = [dict(found) | {"log": [dict(a) for a in attempts]}]
    if args.json:
        _print_json(rows)
        return 0
    for row in rows:
        why = f": {row['why']}" if row["why"] else ""
        number = f" #{row['sequence']}" if row["sequence"] else ""
        print(f"{row['id']} {row['state']:9} {row['type']}{number}, attempts: {row['attempts']}{why}")
        for attempt in row.get("log", ()):
            print(_attempt(attempt))
    return 0


def _attempt(row: Any) -> str:
    status = row["status"] if row["status"] is not None else "-"
    took = f"{row['seconds']:.2f} s" if row["seconds"] is not None else "-"
    began = f"{row['began']:%Y-%m-%d %H:%M:%S}"
    return f"    {row['number']}. {began} {row['outcome']} {status} {took} {row['error']}".rstrip()


async def _redeliver(args: argparse.Namespace, settings: Settings) -> int:
    if (args.delivery is None) == (args.first is None):
        raise Refused("give the number of a delivery, or --from (and --to)")
    async with connected(settings) as conn:
        if args.delivery is not None:
            await manage.redeliver(conn, _operator(), args.id, args.delivery, wall())
            print(f"delivery {args.delivery} goes out again")
            return 0
        queued = await manage.redeliver_span(conn, _operator(), args.id, span_of(args.first, args.last), wall())
    print(f"{queued} events go out again")
    return 0


def _print_json(value: Any) -> None:
    print(json.dumps(value, indent=1, default=lambda v: v.isoformat() if isinstance(v, datetime) else str(v)))
