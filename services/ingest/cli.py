"""Commands of ingest: how each source stands, and what a mailbox holds."""

import argparse
import json
from typing import Any

from services.ingest.lists import cli as lists
from services.ingest.store import SQL
from shared.floor import connected
from shared.settings import Settings


def add(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `netci sources` and `netci threads`."""
    lists.add(subparsers)
    parser = subparsers.add_parser(
        "sources",
        help="how the sources of series stand",
        description="Shows each source: whether it answers, when it was last asked, and its series by state.",
    )
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.set_defaults(run=sources)


async def sources(args: argparse.Namespace, settings: Settings) -> int:
    """Exit code 1 if a source is in trouble."""
    found = await _read(settings)
    if args.json:
        print(json.dumps(found, default=str, indent=1))
    else:
        print("\n".join(_line(source) for source in found) or "no source was polled yet")
    return 0 if all(source["ok"] is not False for source in found) else 1


async def _read(settings: Settings) -> list[dict[str, Any]]:
    async with connected(settings) as conn:
        found = [dict(row) for row in await conn.fetch(SQL["sources"])]
        for source in found:
            counts = await conn.fetch(SQL["count_states"], source["project"])
            source["series"] = {row["state"]: row["series"] for row in counts}
    return found


def _line(source: dict[str, Any]) -> str:
    state = "not asked yet" if source["ok"] is None else "answers" if source["ok"] else f"in trouble: {source['text']}"
    polled = f"{source['polled']:%Y-%m-%d %H:%M:%S}" if source["polled"] else "never"
    counts = ", ".join(f"{n} {name}" for name, n in source["series"].items()) or "no series"
    return f"{source['project']}/{source['name']}: {state}; polled {polled}; {counts}"
