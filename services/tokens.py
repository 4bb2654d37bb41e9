"""`netci token`: who may post results, read a project's own events, manage webhooks. An operator's command."""

import argparse
import getpass
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from shared.arguments import duration
from shared.db.tokens import LONGEST, Order, create, listed, revoke, rotate
from shared.errors import Refused
from shared.floor import connected
from shared.model.tokens import GLOBBED, Minted, Right, Scope
from shared.settings import Settings

SCOPES = ", ".join(f"{r}:GLOB" if r in GLOBBED else str(r) for r in Right)


def add(commands: Any) -> None:
    """Add the command."""
    token = commands.add_parser(
        "token", help="who may post results and read what is not public",
        description="Tokens of outside labs and readers. A token is shown once, when it is made; we keep its hash.",
    )  # fmt: skip
    verbs = token.add_subparsers(required=True, metavar="VERB")
    _add_create(verbs)
    shown = verbs.add_parser("list", help="all tokens, what they may, when they were last used")
    shown.add_argument("--json", action="store_true")
    shown.set_defaults(run=_list)
    turn = verbs.add_parser(
        "rotate", help="a successor; both hold for a while",
        description="Make a second token with the same rights. The old one holds for --overlap more, then no longer.",
    )  # fmt: skip
    turn.add_argument("id", help="as `netci token list` shows it")
    turn.add_argument("--overlap", type=duration, default=timedelta(days=7), metavar="TIME", help="default 7d")
    turn.add_argument("--json", action="store_true")
    turn.set_defaults(run=_rotate)
    gone = verbs.add_parser("revoke", help="refuse it from now on")
    gone.add_argument("id")
    gone.add_argument("--why", required=True, help="kept with the token")
    gone.set_defaults(run=_revoke)


def _add_create(verbs: Any) -> None:
    make = verbs.add_parser(
        "create", help="make one, and show it this once",
        description=f"Make a token. Scopes: {SCOPES}. GLOB is matched against executors' names or checks' contexts.",
    )  # fmt: skip
    make.add_argument("name", help="whose it is, for lists and logs")
    make.add_argument("--remote", default="", help="the remote it speaks for; needed for all that writes")
    make.add_argument("--scope", action="append", required=True, type=_scope, metavar="SCOPE", help="repeatable")
    make.add_argument("--project", action="append", default=[], help="whose events it may read; default: all")
    make.add_argument("--lasts", type=duration, default=LONGEST, metavar="TIME", help="at most 365d, the default")
    make.add_argument("--sandbox", action="store_true", help="for trying: what it posts counts for nothing")
    make.add_argument("--json", action="store_true")
    make.set_defaults(run=_create)


def _scope(text: str) -> Scope:
    try:
        return Scope.parse(text)
    except ValueError as exc:
        raise argparse.ArgumentTypeError(str(exc)) from None


async def _create(args: argparse.Namespace, settings: Settings) -> int:
    if args.remote and args.remote not in {r.name for r in settings.remotes}:
        known = ", ".join(r.name for r in settings.remotes) or "none"
        raise Refused(f"no remote {args.remote!r} is configured; there is {known}: add [[remotes]] first")
    if unknown := [p for p in args.project if p not in settings.projects]:
        raise Refused(f"no project {', '.join(unknown)}; there is {', '.join(settings.projects)}")
    if not args.name.strip():
        raise Refused("a token has a name: whose it is, for lists and logs")
    order = Order(args.name, args.remote, tuple(args.scope), args.lasts, tuple(args.project), args.sandbox)
    async with connected(settings) as conn:
        minted = await create(conn, order, getpass.getuser())
    return _show(minted, args.json, "keep it: it is not shown again")


def _show(minted: Minted, as_json: bool, words: str) -> int:
    print(
        json.dumps({"id": minted.id, "token": minted.text}) if as_json else f"{minted.text}\n  ({minted.id}; {words})"
    )
    return 0


async def _rotate(args: argparse.Namespace, settings: Settings) -> int:
    async with connected(settings) as conn:
        minted = await rotate(conn, args.id, getpass.getuser(), args.overlap)
    return _show(minted, args.json, f"successor of {args.id}, which ends soon; it is not shown again")


async def _revoke(args: argparse.Namespace, settings: Settings) -> int:
    async with connected(settings) as conn:
        await revoke(conn, args.id, getpass.getuser(), args.why)
    print(f"token {args.id} is refused from now on")
    return 0


async def _list(args: argparse.Namespace, settings: Settings) -> int:
    async with connected(settings) as conn:
        rows = [dict(row) for row in await listed(conn)]
    if args.json:
        print(json.dumps(rows, default=_plain, indent=1))
        return 0
    now = datetime.now(UTC)
    for row in rows:
        print(_line(row, now))
    if not rows:
        print("no tokens yet: netci token create NAME --remote REMOTE --scope 'results:write:*'")
    return 0


def _plain(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _line(row: dict[str, Any], now: datetime) -> str:
    say: Callable[[datetime], str] = "{:%Y-%m-%d %H:%M}".format
    if row["revoked"]:
        state = f"revoked {say(row['revoked'])}: {row['revoked_why']}"
    else:
        state = f"{'expired' if row['expires'] <= now else 'until'} {say(row['expires'])}"
    used = f"used {say(row['used'])} from {row['used_from']}" if row["used"] else "never used"
    sandbox = " (sandbox)" if row["sandbox"] else ""
    remote = row["remote"] or "-"
    return f"{row['id']}  {remote:<16} {' '.join(row['scopes'])}{sandbox}\n          {row['name']}: {state}; {used}"
