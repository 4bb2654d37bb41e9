"""`netci threads`: which series are in a mailbox, and why."""

import argparse
import json
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import IO, Any

from services.ingest.lists.inbox import Inbox, is_repository
from services.ingest.lists.mailbox import Found, Reading, read_mailbox
from shared.arguments import duration
from shared.errors import Refused
from shared.formats.clean import plain
from shared.formats.mbox import split_mbox, unpacked
from shared.settings import Project, Settings

MOST = 1 << 30
"""Bytes of one mailbox, unpacked."""


def add(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `netci threads`."""
    parser = subparsers.add_parser(
        "threads",
        help="say which series are in a mailbox, and why",
        description="Reads mails as a list delivered them and says which of them are one series, in which version, "
        "what is missing, what it stands on, and which tree it is for. Nothing is stored or announced.",
        epilog="Exit codes: 0 a whole series is there, 1 none is, 2 the mailbox cannot be read.",
    )
    parser.add_argument(
        "mailbox",
        nargs="+",
        help="an mbox file (.gz too, as lore hands out threads), a maildir, a public-inbox archive, or - for stdin",
    )
    parser.add_argument(
        "--since", type=duration, default=None, metavar="TIME", help="of an archive only what came since, as 14d"
    )
    parser.add_argument("--project", default="", help="by whose rules (default: the only project, else by none)")
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.set_defaults(run=threads, any_config=True)


async def threads(args: argparse.Namespace, settings: Settings | None) -> int:
    """Exit code 1 if no whole series is there."""
    project = _project(settings, args.project)
    raws: list[bytes] = []
    for name in args.mailbox:
        raws += await _archive(Path(name), args.since) if _is_archive(Path(name)) else _mails(name)
    reading = read_mailbox(raws, project)
    print(json.dumps(as_json(reading), indent=1) if args.json else "\n".join(as_text(reading)))
    return 0 if any(one.thread.complete for one in reading.found) else 1


def _project(settings: Settings | None, name: str) -> Project | None:
    """The project `name`; without a name the only one. With several nobody's rules are taken by chance."""
    projects = settings.projects if settings else {}
    if name and name not in projects:
        raise Refused(f"no project {name!r} is configured; there are: {', '.join(projects) or 'none'}")
    return projects[name] if name else next(iter(projects.values())) if len(projects) == 1 else None


def _is_archive(path: Path) -> bool:
    return is_repository(path) or (path / "git").is_dir() or is_repository(path / "0.git")


async def _archive(path: Path, since: timedelta | None) -> list[bytes]:
    """The mails of a public-inbox archive, as far as they can be read at all."""
    raws = []
    async for batch in Inbox(path).batches(since=since):
        raws += [posted.raw for posted in batch.mails if posted.raw is not None]
        if sys.stderr.isatty():
            print(f"\r{len(raws)} mails", end="", file=sys.stderr)
    if sys.stderr.isatty():
        print("\r\x1b[K", end="", file=sys.stderr)
    return raws


def _mails(name: str) -> Iterator[bytes]:
    """The mails of an mbox, packed or not, or of a maildir."""
    path = Path(name)
    try:
        if name == "-":
            yield from split_mbox(_read(sys.stdin.buffer, name))
        elif path.is_dir():
            files = [file for part in ("new", "cur") if (path / part).is_dir() for file in (path / part).iterdir()]
            if not (path / "cur").is_dir():
                raise Refused(
                    f"{name}: a folder, and neither a maildir (no cur/) nor a public-inbox archive (no git/0.git)"
                )
            yield from (file.read_bytes() for file in sorted(files))
        else:
            with path.open("rb") as file:
                raw = _read(file, name)
            yield from split_mbox(raw)
    except OSError as exc:
        raise Refused(f"{name}: {exc.strerror or exc}") from exc


def _read(file: IO[bytes], name: str) -> bytes:
    try:
        return unpacked(file.read(MOST + 1), MOST)
    except Refused as exc:
        raise Refused(f"{name}: {exc}") from exc


def as_json(reading: Reading) -> dict[str, Any]:
    """All of it, for programs."""
    return {
        "mails": reading.mails,
        "talk": reading.talk,
        "unread": [{"place": one.place, "text": one.text} for one in reading.unread],
        "series": [_series(one) for one in reading.found],
    }


def _series(one: Found) -> dict[str, Any]:
    thread, series = one.thread, one.series
    return {
        "message_id": thread.head.message_id,
        "subject": series.subject,
        "version": series.version,
        "resend": series.resend,
        "state": one.state,
        "fault": series.fault if thread.complete else "",
        "total": thread.total,
        "missing": list(thread.missing),
        "cover": thread.cover.message_id if thread.cover else "",
        "patches": [patch.message_id for patch in thread.patches],
        "pull": series.pull.url if series.pull else "",
        "why": list(thread.why),
        "left_out": [{"message_id": left.message_id, "reason": reason} for left, reason in thread.left_out],
        "waits_for": thread.waits,
        "base": one.needs.base,
        "needs": list(one.needs.series),
        "prerequisites": list(one.needs.patches),
        "superseded_by": one.newer,
        "trees": list(one.decision.trees) if one.decision else [],
        "tree_reason": one.decision.reason if one.decision else "",
    }


def as_text(reading: Reading) -> Iterator[str]:
    """A paragraph for each series, and the sum."""
    for one in reading.found:
        yield from (plain(line) for line in _lines(one))
        yield ""
    for unread in reading.unread:
        yield f"mail {unread.place} cannot be read: {plain(unread.text)}"
    whole = sum(one.thread.complete for one in reading.found)
    parts = f"{whole} whole series of {len(reading.found)}" if reading.found else "no series"
    yield f"{reading.mails} mails: {parts}, {reading.talk} mails are of none"


def _lines(one: Found) -> Iterator[str]:
    thread = one.thread
    yield f"{one.series.subject or '(no subject)'}"
    yield f"    <{thread.head.message_id}> by {one.thread.head.sender or 'nobody'}"
    yield f"    {one.state}{_what(one)}"
    yield f"    {_size(one)}{'; ' if thread.why else ''}{'; '.join(thread.why)}"
    if thread.waits:
        yield f"    all answer <{thread.waits}>, which is not here"
    for left, reason in thread.left_out:
        yield f"    left out: <{left.message_id}>: {reason}"
    if one.needs.base:
        yield f"    made on {one.needs.base}"
    for before in one.needs.series:
        yield f"    stands on <{before}>"
    if one.needs.patches:
        yield f"    stands on {len(one.needs.patches)} patches by patch-id"


def _what(one: Found) -> str:
    if one.state == "incomplete":
        lacking = ", ".join(str(number) for number in one.thread.missing[:20])
        return f": {len(one.thread.patches)} of {one.thread.total} patches, {lacking} missing"
    if one.state == "malformed":
        return f": {one.series.fault}"
    if one.state == "superseded":
        return f" by <{one.newer}>"
    if one.decision is None:
        return ""
    return (
        f"{': ' if not one.decision.trees else ' for ' + ' or '.join(one.decision.trees) + ': '}{one.decision.reason}"
    )


def _size(one: Found) -> str:
    if one.series.pull:
        return one.series.pull.url
    count = len(one.thread.patches)
    return f"{count} patch{'es' if count != 1 else ''}{' and a cover letter' if one.thread.cover else ''}"
