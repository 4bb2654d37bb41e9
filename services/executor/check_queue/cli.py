"""`netci recheck`: the checks of a series once more, by hand."""

import argparse
import getpass
import json
from collections.abc import Sequence

from services.executor.check_queue.store import SQL, series_of
from services.executor.checks import CHECKS
from shared import recheck
from shared.errors import Refused
from shared.floor import connected
from shared.settings import Checking, Settings


def add(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "recheck", help="ask the checks of a series again",
        description="Ask again what our checks say of a series: of all of them, or of those named. They are asked "
        "next, and what they say now replaces what they said before.",
        epilog="Example: netci recheck 20261123.1@example.org --check build_clang --why 'the disk was full'",
    )  # fmt: skip
    parser.add_argument("message_id", metavar="MSGID", help="of the cover letter or of any patch")
    parser.add_argument("--check", action="append", default=[], metavar="NAME", help="this one; may be given again")
    parser.add_argument("--why", required=True, help="recorded, and shown to who waits")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=run)


async def run(args: argparse.Namespace, settings: Settings) -> int:
    async with connected(settings) as conn, conn.transaction():
        asked = []
        for row in await series_of(conn, args.message_id):
            project = settings.projects.get(row["project"])
            if project is None or project.checking is None:
                continue
            if row["state"] != "active":
                raise Refused(f"the series is {row['state']}: nobody waits for its checks ({row['reason']})")
            _known(row["project"], project.checking, args.check)
            await recheck.ask(conn, row["id"], args.check, args.why, getpass.getuser())
            asked.append({
                "series": row["id"], "project": row["project"], "title": row["title"], "checks": args.check,
                "applied": bool(await conn.fetchval(SQL["is_applied"], row["id"])),
            })  # fmt: skip
    if not asked:
        raise Refused("none of its projects has checks of ours: [projects.NAME.checking]")
    for one in asked:
        named = ", ".join(args.check) or "all checks"
        waits = "" if one["applied"] else "; what needs its tree, once it is applied"
        print(json.dumps(one) if args.json else f"{one['project']}: {named} of {one['title']!r} are asked again{waits}")
    return 0


def _known(name: str, checking: Checking, wanted: Sequence[str]) -> None:
    """Raises Refused for a slip of the pen. Which scripts are in `folders`, only who runs them knows."""
    unknown = [check for check in wanted if check not in CHECKS and check not in checking.check]
    if unknown and not checking.folders:
        raise Refused(f"{name} has no check {', '.join(unknown)}")
