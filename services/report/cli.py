"""Commands of report: pause and resume, a verdict by hand, what was posted, dead letters."""

import argparse
import getpass
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from services.report.by_hand import Word, say
from services.report.hooks import cli as hooks
from services.report.known import cli as known
from services.report.rebuild import rebuild_rollups
from services.report.stability.counting import rebuild_stability
from services.report.store import SQL
from shared.clock import wall
from shared.db.outbox import SQL as FLOOR_SQL
from shared.db.pool import Connection
from shared.errors import Refused
from shared.floor import connected
from shared.model.ids import OWN_REMOTE
from shared.model.results import CheckState
from shared.pauses import KINDS, pause, resume
from shared.settings import Settings

Subparsers = Any  # argparse._SubParsersAction has no public name


def add(subparsers: Subparsers) -> None:
    """Add the commands of this room."""
    _add_pauses(subparsers)
    _add_verdict(subparsers)
    _add_posts(subparsers)
    _add_dead(subparsers)
    _add_rebuild(subparsers)
    hooks.add(subparsers)
    known.add(subparsers)


def _add_pauses(subparsers: Subparsers) -> None:
    for verb, run, words in (
        ("pause", run_pause, "hold back posting, a stream's cuts, a source or an executor, at once"),
        ("resume", run_resume, "undo a pause"),
    ):
        parser = subparsers.add_parser(verb, help=words, description=f"{words[0].upper()}{words[1:]}.")
        parser.add_argument("kind", choices=KINDS)
        parser.add_argument("name", help="project or stream (post), stream, project/source, or remote/executor")
        parser.add_argument("--why", required=True, help="shown to everybody who waits")
        parser.set_defaults(run=run)


def _add_verdict(subparsers: Subparsers) -> None:
    verdict = subparsers.add_parser("verdict", help="set what a series is told")
    verbs = verdict.add_subparsers(required=True, metavar="VERB")
    parser = verbs.add_parser(
        "set", help="by hand",
        description="Set a verdict by hand. It is posted, and only another `verdict set` changes it.",
    )  # fmt: skip
    parser.add_argument("message_id", help="of the series' cover letter or one of its patches")
    parser.add_argument("context", help="apply, tree_selection, a stream's context or the name of a check")
    parser.add_argument("state", choices=[str(state) for state in CheckState])
    parser.add_argument("--patch", type=int, default=0, metavar="N", help="of this patch alone; default: of all")
    parser.add_argument("--why", required=True, help="posted as the description")
    parser.set_defaults(run=run_verdict)


def _add_posts(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "posts", help="what was, would be or will be posted",
        description="The newest posts: posted, shadowed (with what others say), intended, refused.",
    )  # fmt: skip
    parser.add_argument("message_id", nargs="?", help="only those of this series")
    parser.add_argument("--status", choices=("intent", "posted", "shadowed", "refused", "dropped", "parked"))
    parser.add_argument("--most", type=int, default=50, help="how many (50)")
    parser.add_argument("--retry-refused", action="store_true", help="try refused ones again, after mending the cause")
    parser.add_argument("--json", action="store_true")
    parser.set_defaults(run=run_posts)


def _add_dead(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "dead", help="dead letters and work that was given up",
        description="Events whose handler failed too often, and work that was given up, with the reason.",
    )  # fmt: skip
    parser.add_argument("--replay", action="store_true", help="try all of them again, after mending the cause")
    parser.add_argument("--json", action="store_true")
    parser.set_defaults(run=run_dead)


def _add_rebuild(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "rebuild", help="make derived tables anew from the ledger",
        description="rollups: sum all closed runs anew from their cases; verdicts that stand are not touched. "
        "stability: count anew how steadily each test passes, over all runs whose cases are kept, in order of time.",
    )  # fmt: skip
    parser.add_argument("what", choices=tuple(_REBUILDS))
    parser.set_defaults(run=run_rebuild)


async def run_pause(args: argparse.Namespace, settings: Settings) -> int:
    check_name(args.kind, args.name, settings)
    async with connected(settings) as conn:
        await pause(conn, args.kind, args.name, args.why, getpass.getuser())
    print(f"{args.kind} {args.name} is paused; resume with: netci resume {args.kind} {args.name} --why …")
    return 0


async def run_resume(args: argparse.Namespace, settings: Settings) -> int:
    async with connected(settings) as conn:
        was = await resume(conn, args.kind, args.name, args.why, getpass.getuser())
    print(f"{args.kind} {args.name} goes on" if was else f"{args.kind} {args.name} was not paused")
    return 0 if was else 1


def check_name(kind: str, name: str, settings: Settings) -> None:
    """Raises Refused for what the configuration does not know: a pause with a slip of the pen holds nothing back."""
    projects = settings.projects
    streams = {s for p in projects.values() for s in p.streams}
    known = {
        "post": {*projects, *streams},
        "stream": streams,
        "source": {f"{n}/patchwork" for n, p in projects.items() if p.patchwork}
        | {f"remotes/{r.name}" for r in settings.remotes if r.manifest},
        "executor": {f"{e.remote}/{e.name}" for e in settings.executors}
        | {f"{OWN_REMOTE}/checks" for p in projects.values() if p.checking},
    }[kind]
    if name not in known:
        raise Refused(f"no {kind} {name!r}; there is: {', '.join(sorted(known)) or 'none'}")


async def run_verdict(args: argparse.Namespace, settings: Settings) -> int:
    who, state = getpass.getuser(), CheckState(args.state)
    async with connected(settings) as conn, conn.transaction():
        word = Word(args.message_id, args.context, state, args.why, who, args.patch)
        verdict = await say(conn, settings, word, wall())
        subject, detail = f"series/{verdict.series}", {"context": args.context, "state": args.state}
        detail |= {"patch": args.patch} if args.patch else {}
        await conn.execute(FLOOR_SQL["audit"], who, "verdict set", subject, args.why, detail)
    of_patch = f", patch {verdict.patch}" if verdict.patch else ""
    print(f"series {verdict.series}{of_patch}: {verdict.context} is {verdict.state}, by {who}")
    return 0


async def run_posts(args: argparse.Namespace, settings: Settings) -> int:
    async with connected(settings) as conn:
        if args.retry_refused:
            again = await conn.fetch(SQL["retry_refused"])
            await conn.execute(FLOOR_SQL["notify"], "netci_work", "report")
            print(f"{len(again)} refused posts are tried again")
            return 0
        rows = await conn.fetch(SQL["list_posts"], args.message_id, args.status, args.most)
    if args.json:
        _print_json([dict(row) for row in rows])
    for row in () if args.json else rows:
        found = f"  [others: {row['found']}]" if row["found"] else ""
        print(f"{row['status']:9} patch {row['external_patch']} {row['context']} {row['state']}: {row['text']}{found}")
    return 0


async def run_dead(args: argparse.Namespace, settings: Settings) -> int:
    async with connected(settings) as conn:
        if args.replay:
            return await _replay(conn)
        letters = [dict(r) for r in await conn.fetch(FLOOR_SQL["dead_letters"])]
        work = [dict(r) for r in await conn.fetch(SQL["dead_work"])]
    if args.json:
        _print_json({"events": letters, "work": work})
        return 0
    for letter in letters:
        print(
            f"event {letter['sequence']} {letter['type']} {letter['subject']} at {letter['queue']}: {letter['error']}"
        )
    for row in work:
        print(f"work {row['room']} {row['kind']} {row['key']}: {row['error']}")
    if not letters and not work:
        print("nothing is dead")
    return 0


async def run_rebuild(args: argparse.Namespace, settings: Settings) -> int:
    rebuild, done = _REBUILDS[args.what]
    async with connected(settings) as conn:
        made = await rebuild(conn, lambda run: print(f"\r{args.what}: run {run}", end="", flush=True))
    print(f"\r{args.what}: {made} runs {done}")
    return 0


_REBUILDS: Mapping[str, tuple[Callable[[Connection, Callable[[int], None]], Awaitable[int]], str]] = {
    "rollups": (rebuild_rollups, "summed"),
    "stability": (lambda conn, told: rebuild_stability(conn, told=told), "counted"),
}


async def _replay(conn: Connection) -> int:
    async with conn.transaction():
        events = _count(await conn.execute(FLOOR_SQL["replay_dead"], None))
        work = _count(await conn.execute(SQL["replay_work"]))
        who = getpass.getuser()
        await conn.execute(FLOOR_SQL["audit"], who, "replay dead", "", "", {"events": events, "work": work})
        for bell in ("netci_events", "netci_work"):
            await conn.execute(FLOOR_SQL["notify"], bell, "")
    print(f"{events} events and {work} pieces of work are tried again")
    return 0


def _count(tag: str) -> int:
    return int(tag.rpartition(" ")[2])


def _print_json(value: Sequence[Mapping[str, Any]] | Mapping[str, Any]) -> None:
    print(json.dumps(value, indent=1, default=lambda v: v.isoformat() if isinstance(v, datetime) else str(v)))
