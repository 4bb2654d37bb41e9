"""Commands of executor: `netci check` and `repro` for an author; `recheck`; `remote` for a machine that isn't ours."""

import argparse
import json
import sys
import traceback
from pathlib import Path
from typing import Any

from services.executor.check_queue import cli as recheck
from services.executor.machines import cli as machines
from services.executor.repro import cli as repro
from shared.errors import NetciError, first_of


def add(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `netci check`, `netci recheck` and `netci remote`."""
    _add_check(subparsers)
    recheck.add(subparsers)
    repro.add(subparsers)
    machines.add(subparsers)
    remote = subparsers.add_parser(
        "remote", help="test branches of somebody's netci on your machines",
        description="For a lab: nothing but outgoing HTTPS is needed. CONFIG is a file of its own; "
        "config/remote.example.toml is one to copy.",
    )  # fmt: skip
    verbs = remote.add_subparsers(required=True, metavar="VERB")
    for name, act, words in (
        ("run", _run, "follow branches, test them, post results; SIGTERM ends it"),
        ("check", _check, "try this lab against the server, in a sandbox; exit 1 if something is wrong"),
        ("status", _status, "what waits to be posted, and when the server last answered"),
    ):
        verb = verbs.add_parser(name, help=words, description=words[0].upper() + words[1:] + ".")
        verb.add_argument("lab", type=Path, metavar="CONFIG")
        if name != "run":
            verb.add_argument("--json", action="store_true", help="for programs")
        verb.set_defaults(run=act, bare=True)


_CHECK = """\
Checks every patch as netci would on a server, in a cage, on your clone, which is only read.

PATCHES are commits (HEAD~3.. or A...B, or one alone; default: @{upstream}..HEAD), a folder of *.patch files, a
mailbox, or the address of a series: on Patchwork, in a mail archive, or on a netci. Mails are applied, in a store of
ours, to --base, else to the base-commit that they name, else to HEAD, or before it if HEAD has them already.

Exit codes: 0 nothing failed (there may be warnings), 1 something failed, 2 wrong use, or something could not be told
because this machine lacks a tool or broke, 3 a fault of netci's own, 130 broken off by Ctrl-C, 141 whoever read the
output has gone.
"""
_ISSUES = "please report it to its maintainers, with what `netci --log debug check …` shows"


def _add_check(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    verb = subparsers.add_parser(
        "check", help="check your patches here, before you send them", description=_CHECK,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    told = verb.add_mutually_exclusive_group()
    how = verb.add_mutually_exclusive_group()
    add = verb.add_argument
    add("--tree", type=Path, default=Path(), metavar="DIR", help="your clone; default: here")
    what = verb.add_mutually_exclusive_group()
    what.add_argument("given", nargs="?", default="", metavar="PATCHES", help="what to check")
    what.add_argument("--patches", default="", metavar="PATCHES", help="the same")
    add("--base", default="", metavar="REV", help="what mails are applied to")
    add("-c", "--check", action="append", default=[], metavar="NAME", dest="checks", help="only this; may be repeated")
    add("--leave", action="append", default=[], metavar="NAME", help="not this; may be repeated")
    add("--builds", action="store_true", help="builds as well, which take minutes to hours")
    told.add_argument("--next", dest="kind", action="store_const", const="next", help="it is for the next release")
    told.add_argument("--fixes", dest="kind", action="store_const", const="fixes", help="it is for a tree of fixes")
    add("--preset", default="", choices=("netdev",), help="check as this list's reviewers want it")
    add("--config", type=Path, default=argparse.SUPPRESS, metavar="FILE", help="check as this netci.toml says")
    add("--project", default="", metavar="NAME", help="the project in it")
    add("--bare", action="store_true", dest="uncaged", help="without a cage: patches may then do whatever you may")
    add("--path", action="append", type=Path, default=[], metavar="DIR", help="tools outside of /usr; may be repeated")
    add("-j", "--hands", type=_hands, default=0, metavar="N", help="commands at one time; default: one a processor")
    how.add_argument("--json", dest="how", action="store_const", const="json", help="one document, at the end")
    how.add_argument("--stream", dest="how", action="store_const", const="stream", help="JSON lines, as it goes")
    add("-v", "--verbose", action="store_true", help="whole logs")
    add("--cache", type=Path, metavar="DIR", help="default: ~/.cache/netci; may be deleted at any time")
    add("--list", action="store_true", help="which checks there are, and what they need; checks nothing")
    verb.set_defaults(run=_check_patches, bare=True, quiet="critical")


def _hands(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of commands, which is 1 or more")
    return number


async def _check_patches(args: argparse.Namespace, settings: None) -> int:
    from services.executor.local import app
    from services.executor.local.given import Done

    wanted = app.Wanted(
        args.tree, args.patches or args.given, args.base, tuple(args.checks), tuple(args.leave), args.builds,
        args.preset, args.config, args.project, args.kind, args.uncaged, args.hands, args.how or "text", args.verbose,
        args.cache, tuple(args.path),
    )  # fmt: skip
    try:
        if args.list:
            found = app.listing(wanted)
            print(json.dumps(found, indent=1) if args.how else "\n".join([*app.listed(found), await app.caged(wanted)]))
            return 0
        return await app.check(wanted)
    except Done as exc:
        print(exc)
        return 0
    except NetciError as exc:
        print(f"netci check: {exc}", file=sys.stderr)
        return 2
    except OSError:
        raise
    except Exception as exc:
        return _fault(exc, args.log == "debug")


def _fault(exc: Exception, whole: bool) -> int:
    """What is nobody's but our fault, in one line: its exit code must not be that of a patch that fails."""
    first = first_of(exc) if isinstance(exc, BaseExceptionGroup) else exc
    if isinstance(first, NetciError | OSError):
        raise first
    if whole:
        traceback.print_exception(exc)
    print(f"netci check: a fault of netci's own: {type(first).__name__}: {first}; {_ISSUES}", file=sys.stderr)
    return 3


async def _run(args: argparse.Namespace, settings: None) -> int:
    from services.executor.remote import app, config

    await app.run(config.load(args.lab))
    return 0


async def _check(args: argparse.Namespace, settings: None) -> int:
    from services.executor.remote import check, config

    findings = await check.check(config.load(args.lab))
    if args.json:
        print(json.dumps([check.plain(finding) for finding in findings], indent=1))
    else:
        print("\n".join(check.lines(findings)))
    return 0 if all(finding.ok for finding in findings) else 1


async def _status(args: argparse.Namespace, settings: None) -> int:
    from services.executor.remote import config, status

    facts: dict[str, Any] = status.status(config.load(args.lab))
    print(json.dumps(facts, indent=1) if args.json else "\n".join(status.lines(facts)))
    return 1 if facts["denied"] else 0
