"""`netci status` and `netci doctor`: what is, and what is wrong with it."""

import argparse
import json
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from shared.db.embedded import find_binaries
from shared.db.migrate import pending
from shared.disk import low
from shared.doctor import Finding
from shared.errors import Missing, NetciError, Transient
from shared.floor import bus_url, dsn_of
from shared.http import client
from shared.settings import Settings


def add(commands: Any, rooms: Sequence[str]) -> None:
    """Add the commands."""
    status = commands.add_parser("status", help="what runs, what waits, what is broken")
    status.add_argument("--json", action="store_true", help="all of it, for programs")
    status.set_defaults(run=_status)
    doctor = commands.add_parser(
        "doctor", help="what is missing or unreachable, and how to mend it",
        description="Look at everything that this configuration needs. Exit code 1 if anything is wrong.",
    )  # fmt: skip
    doctor.add_argument("--json", action="store_true", help="the findings, for programs")
    doctor.set_defaults(run=lambda args, settings: _doctor(args, settings, rooms))


async def _status(args: argparse.Namespace, settings: Settings) -> int:
    at = f"http://{settings.web.listen}"
    try:
        async with client("status", at, timeout=10) as http:
            answer = await http.request("GET", "/api/v1/status")
    except Transient:
        raise Missing(f"nothing answers on {at}: is netci up, with this configuration?") from None
    facts = json.loads(answer.body)
    if args.json:
        print(json.dumps(facts, indent=1))
        return 0
    for line in _say(facts):
        print(line)
    return 0


def _say(facts: dict[str, Any]) -> list[str]:
    """The status for a terminal: one line a thing, the troubles first."""
    lines = [f"PAUSED  {p['kind']} {p['name']}: {p['why']} ({p['by']})" for p in facts["pauses"]]
    lines += [f"BROKEN  {h['room']} {h['name']}: {h['text']}" for h in facts["health"] if not h["ok"]]
    for stream in facts["streams"]:
        lines.append(f"stream  {stream['name']}, next slot {stream['next'] or 'unknown'}")
        lines += [f"        {_branch(branch)}" for branch in stream["branches"][:3]]
    for run in facts["runs"]:
        lines.append(f"run     {run['remote']}/{run['executor']} on {run['branch']}, expected by {run['expected_end']}")
    for size in facts["checks"]["sizes"]:
        until = f", done about {size['until']}" if size["until"] else ""
        lines.append(
            f"checks  {size['project']}, {size['lane']}: {size['running']} running, {size['waiting']} waiting{until}"
        )
    for queue in facts["queues"]:
        if queue["due"] or queue["dead"]:
            lines.append(f"queue   {queue['name']}: {queue['due']} due, {queue['dead']} dead letters")
    return lines


def _branch(branch: dict[str, Any]) -> str:
    counts = f"{branch['tests']} tests, {branch['failing']} failing, {branch['flaky']} flaky" if branch["tests"] else ""
    said = [branch["verdict"] or branch["state"], counts, f"{branch['taken']} series, {branch['left_out']} left out"]
    return f"{branch['name']}: {'; '.join(part for part in said if part)}"


async def _doctor(args: argparse.Namespace, settings: Settings, rooms: Sequence[str]) -> int:
    findings = [await _database(settings), _disk(settings), await _bus(settings)]
    for room in rooms:
        if find_spec(f"services.{room}.doctor"):
            findings += await _examine(room, settings)
    bad = [f for f in findings if not f.ok]
    if args.json:
        print(
            json.dumps([{"ok": f.ok, "what": f.what, "detail": f.detail, "mend": f.mend} for f in findings], indent=1)
        )
        return bool(bad)
    for finding in findings:
        print(f"{'ok  ' if finding.ok else 'BAD '}{finding.what}{': ' + finding.detail if finding.detail else ''}")
        if not finding.ok and finding.mend:
            print(f"      -> {finding.mend}")
    print(f"{len(bad)} of {len(findings)} want mending" if bad else "all is well")
    return bool(bad)


async def _examine(room: str, settings: Settings) -> list[Finding]:
    try:
        found: list[Finding] = await import_module(f"services.{room}.doctor").examine(settings)
        return found
    except NetciError as exc:
        return [Finding(False, room, str(exc), "see the text")]


async def _database(settings: Settings) -> Finding:
    if not (settings.database.url or settings.database.url_env or settings.database.url_file):
        try:
            binaries = find_binaries()
        except Missing as exc:
            return Finding(False, "PostgreSQL", "none found", str(exc))
        return Finding(True, "PostgreSQL", f"embedded, {binaries.major} of the {binaries.origin}")
    try:
        missing = await pending(dsn_of(settings))
    except NetciError as exc:
        return Finding(False, "PostgreSQL", str(exc), "check [database] url, and that the server runs")
    if missing:
        return Finding(False, "PostgreSQL", f"{len(missing)} migrations are missing", "run `netci migrate`")
    return Finding(True, "PostgreSQL", "answers, up to date")


def _disk(settings: Settings) -> Finding:
    short = low(settings)
    return Finding(not short, "disk", short or "enough room", "free some, or lower [disk] free")


async def _bus(settings: Settings) -> Finding:
    if not (url := bus_url(settings)):
        return Finding(True, "bus", "PostgreSQL itself")
    from shared.bus.rabbit import answers

    trouble = await answers(url)
    return Finding(not trouble, "RabbitMQ", trouble or "answers", "check [bus] url, and that the broker runs")
