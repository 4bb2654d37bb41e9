"""Commands of executor: `netci remote`, for a machine that isn't ours."""

import argparse
import json
from pathlib import Path
from typing import Any


def add(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `netci remote`."""
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
