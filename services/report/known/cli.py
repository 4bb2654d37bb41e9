"""`netci known`: known issues from the command line."""

import argparse
import getpass
import json
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from services.report.known import store
from services.report.known.rules import SCOPE, KnownIssue
from shared.clock import wall
from shared.errors import Refused
from shared.floor import connected
from shared.settings import Settings

USUAL = timedelta(days=30)


def add(subparsers: Any) -> None:
    known = subparsers.add_parser(
        "known", help="failures that are known and do not count",
        description="Known issues: failures that are shown as known and do not count against a branch, until a day.",
    )  # fmt: skip
    verbs = known.add_subparsers(required=True, metavar="VERB")
    _add_list(verbs)
    _add_rule(
        verbs, "add", run_add, "say that a failure is known",
        "From now on failures that match do not count; branches of the last three days are judged again. Tells what it "
        "would have matched in the last two weeks.",
    )  # fmt: skip
    _add_rule(
        verbs, "try", run_try, "what a rule would have matched in the last two weeks",
        "Says what a rule would have matched in the last two weeks, and keeps nothing.",
    )  # fmt: skip
    parser = verbs.add_parser("end", help="let its failures count again", description="Let its failures count again.")
    parser.add_argument("number", type=int)
    parser.add_argument("--why", required=True, help="kept in the audit log")
    parser.set_defaults(run=run_end)


def _add_list(verbs: Any) -> None:
    parser = verbs.add_parser("list", help="those that hold", description="Known issues, and what each has matched.")
    parser.add_argument("--project", default="", help="of this project only")
    parser.add_argument("--over", action="store_true", help="also those that are over")
    parser.add_argument("--json", action="store_true")
    parser.set_defaults(run=run_list)


def _add_rule(verbs: Any, name: str, run: Callable[..., Any], words: str, description: str) -> None:
    parser = verbs.add_parser(name, help=words, description=description)
    parser.add_argument("project")
    for scope in SCOPE:
        parser.add_argument(f"--{scope}", default="", metavar="GLOB", help="globs of * and ?; without it: any")
    parser.add_argument("--reason", required=True, help="why it is known; shown wherever it is met")
    parser.add_argument("--owner", required=True, help="who looks after it")
    parser.add_argument("--link", default="", metavar="URL", help="to a report or a patch")
    parser.add_argument(
        "--until", type=_day, default=None, metavar="DAY", help="as 2026-12-24; default: 30 days from now"
    )
    parser.add_argument("--json", action="store_true")
    parser.set_defaults(run=run)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no day; a day is 2026-12-24") from None


def _issue(args: argparse.Namespace, settings: Settings, now: datetime) -> KnownIssue:
    if args.project not in settings.projects:
        raise Refused(f"there is no project {args.project}; there is: {', '.join(sorted(settings.projects))}")
    until = datetime.combine(args.until or (now + USUAL).date(), time(23, 59, 59), UTC)
    scope = {name: getattr(args, name) for name in SCOPE}
    return KnownIssue(args.project, args.reason, args.owner, until, **scope, link=args.link)


async def run_add(args: argparse.Namespace, settings: Settings) -> int:
    now = wall()
    issue = _issue(args, settings, now)
    async with connected(settings) as conn:
        tried = await store.try_on(conn, issue, now)
        async with conn.transaction():
            number = await store.add(conn, issue, getpass.getuser(), now)
    if args.json:
        print(json.dumps({"id": number, **tried}))
    else:
        print(f"known issue {number} holds until {issue.expires:%Y-%m-%d}; {_told(tried)}")
    return 0


async def run_try(args: argparse.Namespace, settings: Settings) -> int:
    now = wall()
    async with connected(settings) as conn:
        tried = await store.try_on(conn, _issue(args, settings, now), now)
    if args.json:
        print(json.dumps(tried))
        return 0
    print(f"it is not kept; {_told(tried)}")
    for one in tried["shown"]:
        crashes = "".join(f"\n    {crash}" for crash in one["crashes"])
        print(f"  {one['branch']}  {one['lab']}  {one['group']}/{one['test']}{crashes}")
    return 0


def _told(tried: store.Row) -> str:
    return (
        f"in the last {tried['days']} days it matches {tried['hits']} of {tried['failures']} failures, on "
        f"{tried['branches']} branches, of which {tried['turned']} would not have failed"
    )


async def run_end(args: argparse.Namespace, settings: Settings) -> int:
    async with connected(settings) as conn, conn.transaction():
        await store.end(conn, args.number, getpass.getuser(), args.why, wall())
    print(f"known issue {args.number} is over: its failures count again")
    return 0


async def run_list(args: argparse.Namespace, settings: Settings) -> int:
    async with connected(settings) as conn:
        rows = await store.listed(conn, args.project, wall(), args.over)
    if args.json:
        print(json.dumps(rows, default=str))
        return 0
    for row in rows:
        scope = " ".join(f"{name}={row[name]}" for name in SCOPE if row[name])
        state = "" if row["active"] else "over  "
        idle = "  (matches nothing)" if row["idle"] else ""
        print(f"{row['id']:>4}  {state}{row['project']}  {scope}  until {row['expires']:%Y-%m-%d}  "
              f"matched {row['hits']}{idle}\n      {row['reason']}  ({row['owner']})")  # fmt: skip
    if not rows:
        print("none")
    return 0
