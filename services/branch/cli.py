"""Commands of the branch room: cut, series, resolve. Prints for people, or with --json for programs."""

import argparse
import asyncio
import getpass
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from services.branch import orders, resolve
from services.branch.store import SQL
from shared.db.pool import Connection, Record
from shared.errors import Missing, NetciError, Refused, Transient
from shared.floor import connected
from shared.settings import Settings

_STEP = {"planned": "composing", "built": "pushing", "pushed": "announcing"}
OK, FAILED, WRONG, AWAY = 0, 1, 2, 3


def add(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the room's commands."""
    _add_cut(subparsers)
    _add_series(subparsers)
    _add_resolve(subparsers)


def _add_cut(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    cut = subparsers.add_parser(
        "cut",
        help="cut a test branch now",
        description="Cut a branch of STREAM now, of all series that are pending, or of just those named.",
        epilog="Example: netci cut net-next --series 20261123.1@example.org --why 'does the fix help?' --wait 60",
    )
    cut.add_argument("stream", metavar="STREAM")
    cut.add_argument("--series", action="append", default=[], metavar="MSGID",
                     help="take this series and no other; may be given again. Gates do not apply to it")  # fmt: skip
    cut.add_argument("--why", default="", help="recorded with the branch and shown")
    cut.add_argument("--wait", type=float, default=0, metavar="SECONDS", help="wait until the branch is out")
    cut.add_argument("--json", action="store_true", help="print one JSON object")
    cut.set_defaults(run=_cut)


def _add_series(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    series = subparsers.add_parser("series", help="hold, include or drop a series; list what is pending")
    verbs = series.add_subparsers(dest="verb", required=True, metavar="VERB")
    texts = {
        "hold": "keep it off every branch until released",
        "include": "put it on every branch whatever gates, trees and delegates say",
        "drop": "keep it off for good",
        "release": "take back a hold, include or drop",
    }
    for verb, text in texts.items():
        one = verbs.add_parser(verb, help=text)
        one.add_argument("message_id", metavar="MSGID", help="of the cover letter or of any patch")
        one.add_argument("--why", required=verb != "release", default="", help="recorded and shown")
        one.add_argument("--json", action="store_true", help="print one JSON object")
        one.set_defaults(run=_order)
    listing = verbs.add_parser("list", help="pending series, where they apply, and what was said of them")
    listing.add_argument("--project", default="")
    listing.add_argument("--limit", type=int, default=200)
    listing.add_argument("--json", action="store_true", help="print a JSON array")
    listing.set_defaults(run=_list)


def _add_resolve(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = subparsers.add_parser(
        "resolve",
        help="settle a merge conflict of a stream once and for all",
        description="Lay out the conflict of STREAM's last branch in a folder. Edit the files there until no conflict "
        "marker is left, then run it again with --continue: the answer is remembered for every later branch.",
    )
    parser.add_argument("stream", metavar="STREAM")
    parser.add_argument("merge", nargs="?", default="", metavar="TREE", help="which merge, if several are in conflict")
    act = parser.add_mutually_exclusive_group()
    act.add_argument("--continue", action="store_true", dest="go_on", help="remember how the files were settled")
    act.add_argument("--import", type=Path, dest="rr_cache", metavar="PATH", help="take over an existing rr-cache")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=_resolve)


def _complain(exc: NetciError) -> int:
    """Say what is wrong; 2 for what the caller can mend, 3 for what is away, 1 for the rest."""
    print(f"netci: {exc}", file=sys.stderr)
    return WRONG if isinstance(exc, Refused | Missing) else AWAY if isinstance(exc, Transient) else FAILED


def _say(args: argparse.Namespace, facts: Mapping[str, Any], text: str) -> None:
    print(json.dumps(dict(facts), default=str) if args.json else text)


async def _cut(args: argparse.Namespace, settings: Settings) -> int:
    try:
        async with connected(settings) as conn:
            request = await orders.request_cut(conn, settings, args.stream, args.series, args.why, getpass.getuser())
            if not args.wait:
                _say(args, {"request": request, "stream": args.stream}, f"a branch of {args.stream} is asked for")
                return OK
            return await _follow(args, conn, request)
    except NetciError as exc:
        return _complain(exc)


async def _follow(args: argparse.Namespace, conn: Connection, request: int) -> int:
    """Say what becomes of a request until its branch is out, or the time is over."""
    loop = asyncio.get_running_loop()
    until, said = loop.time() + args.wait, ""
    while True:
        row = await conn.fetchrow(SQL["requested_cut"], request)
        if row is None:
            raise Missing(f"request {request} is gone")
        if row["state"] in ("announced", "pruned", "failed"):
            return _ended(args, row)
        step = row["error"] or _STEP.get(row["state"], "") or row["waiting"] or "waiting for the branch room"
        if step != said and not args.json:
            print(f"{row['name'] or args.stream}: {step}", file=sys.stderr)
            said = step
        if loop.time() > until:
            raise Transient(f"after {args.wait:g} s still {step}; the request stands")
        await asyncio.sleep(0.2)


def _ended(args: argparse.Namespace, row: Record) -> int:
    keys = ("name", "state", "commit", "base", "public_url", "taken", "left_out", "error")
    text = f"{row['name']} {row['commit']}: {row['taken']} series taken, {row['left_out']} left out"
    if row["state"] == "failed":
        text = f"{row['name']} was given up: {row['error']}"
    _say(args, {key: row[key] for key in keys}, text)
    return FAILED if row["state"] == "failed" else OK


async def _order(args: argparse.Namespace, settings: Settings) -> int:
    try:
        async with connected(settings) as conn:
            by = getpass.getuser()
            if args.verb == "release":
                done = await orders.release(conn, args.message_id, args.why, by)
                text = f'released: "{done.title}" (was on {done.verb}: {done.why})'
            else:
                done = await orders.order(conn, args.message_id, args.verb, args.why, by)
                text = f'{done.verb}: "{done.title}" ({done.message_id}): {done.why}'
    except NetciError as exc:
        return _complain(exc)
    facts = {"project": done.project, "message_id": done.message_id, "title": done.title,
             "verb": args.verb, "why": args.why or done.why}  # fmt: skip
    _say(args, facts, text)
    return OK


async def _list(args: argparse.Namespace, settings: Settings) -> int:
    try:
        async with connected(settings) as conn:
            rows = await conn.fetch(SQL["list_series"], args.project, args.limit)
    except NetciError as exc:
        return _complain(exc)
    if args.json:
        print(json.dumps([dict(row) for row in rows], default=str))
        return OK
    for row in rows:
        word = f"  [{row['verb']} by {row['by']}: {row['why']}]" if row["verb"] else ""
        tree = row["tree"] or "/".join(row["trees"]) or "-"
        print(f"{row['arrived']:%m-%d %H:%M}  {row['outcome']:8} {tree:12} {row['message_id']}  {row['title']}{word}")
    return OK


async def _resolve(args: argparse.Namespace, settings: Settings) -> int:
    try:
        if args.rr_cache:
            came = resolve.take_over(settings, args.stream, args.rr_cache)
            _say(args, {"imported": came}, f"{came} resolutions taken over")
            return OK
        if args.go_on:
            return await _remember(args, settings)
        async with connected(settings) as conn:
            folder, files = await resolve.prepare(conn, settings, args.stream, args.merge)
    except NetciError as exc:
        return _complain(exc)
    listing = "\n".join(f"    {name}" for name in files)
    text = f"settle these in {folder}:\n{listing}\nthen: netci resolve {args.stream} {args.merge} --continue"
    _say(args, {"folder": str(folder), "files": list(files)}, text)
    return OK


async def _remember(args: argparse.Namespace, settings: Settings) -> int:
    done = await resolve.remember(settings, args.stream, args.merge)
    text = f"remembered: {', '.join(done.files) or 'nothing new'}"
    if done.remaining:
        text += f"\nstill with conflict markers: {', '.join(done.remaining)}"
    _say(args, {"remembered": list(done.files), "remaining": list(done.remaining)}, text)
    return FAILED if done.remaining else OK
