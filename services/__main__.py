"""netci: all rooms, or the named ones, in one process; and the commands that look after them.

The only file that sees every room.
"""

import argparse
import asyncio
import contextlib
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from services import looking, running, tokens, upkeep
from shared import log
from shared.errors import Missing, NetciError, Refused, first_of
from shared.floor import Floor
from shared.service import MakeRoom, Room
from shared.settings import Settings, load

ROOMS = ("ingest", "branch", "executor", "checks", "report")
PACKAGES = ("ingest", "branch", "executor", "report")
"""Where the rooms are. `checks` is executor's other half: what runs hostile code has no key of any machine."""
CLASSES = {
    "ingest": "services.ingest.app:IngestRoom",
    "branch": "services.branch.app:BranchRoom",
    "executor": "services.executor.app:ExecutorRoom",
    "checks": "services.executor.checks_app:ChecksRoom",
    "report": "services.report.app:ReportRoom",
}
"""Named, not imported: `netci cut` need not load the web, nor a room apart the libraries of the others."""

EPILOG = """\
Start here:
  netci demo             the whole road on practice servers: watch series arrive, get tested, be reported
  netci doctor           say what is missing or unreachable, and how to mend it
  netci up               all rooms in one process, with a database of its own unless one is configured
  netci cut STREAM       put what is pending on a test branch now
  netci status           what runs, what waits, what is broken
  netci token create …   let an outside lab post results

The configuration is --config, else $NETCI_CONFIG, else ./netci.toml, else /etc/netci/netci.toml.
Exit codes: 0 done, 1 no (the answer or outcome is bad), 2 wrong use or configuration, 3 something broke or is away,
130 broken off by Ctrl-C, 141 whoever read the output has gone.
"""


def makers(names: Sequence[str]) -> dict[str, MakeRoom]:
    """How each room is made. Where ingest and report are in one process, report's listener serves labs, too."""
    made = {name: _maker(CLASSES[name]) for name in names}
    if {"ingest", "report"} <= made.keys():
        api = import_module("services.ingest.api")
        door = api.LabDoor("ingest")
        made["ingest"] = _maker(CLASSES["ingest"], door=door)
        made["report"] = _maker(CLASSES["report"], extra=lambda app: api.add_routes(app, door), describe=_describe)
    elif "report" in made:
        made["report"] = _maker(CLASSES["report"], describe=_describe)
    return made


def _describe(public_url: str) -> dict[str, Any]:
    """The OpenAPI document of all rooms, whichever of them are in this process: a proxy makes them one."""
    described: dict[str, Any] = import_module("services.api_document").openapi(public_url)
    return described


def _maker(place: str, **more: Any) -> MakeRoom:
    def make(floor: Floor) -> Room:
        module, _, name = place.partition(":")
        room: Room = getattr(import_module(module), name)(floor, **more)
        return room

    return make


def parser() -> argparse.ArgumentParser:
    """The whole command line, rooms' own commands included."""
    top = argparse.ArgumentParser(
        prog="netci",
        description="A CI for kernel subsystems: series from Patchwork, tested branches, checks back on Patchwork.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--config", type=Path, default=None, metavar="FILE", help="the configuration (TOML)")
    top.add_argument(
        "--log", choices=("debug", "info", "warning", "error"), help="how much to log; default: info, of check nothing"
    )  # fmt: skip
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    running.add(commands, makers, ROOMS)
    upkeep.add(commands)
    looking.add(commands, ROOMS)
    tokens.add(commands)
    import_module("services.nipa.cli").add(commands)
    for package in PACKAGES:
        import_module(f"services.{package}.cli").add(commands)
    return top


def find_config(given: Path | None) -> Path:
    """Which file is meant. Raises Refused if none is there."""
    if given is not None:
        return given
    if named := os.environ.get("NETCI_CONFIG"):
        return Path(named)
    for place in (Path("netci.toml"), Path("/etc/netci/netci.toml")):
        if place.exists():
            return place
    raise Refused("no configuration: give --config FILE, or set NETCI_CONFIG; config/example.toml is one to copy")


def main(argv: Sequence[str] | None = None) -> None:
    """The program."""
    args = parser().parse_args(argv)
    log.configure(level=args.log or getattr(args, "quiet", "info"))
    try:
        code = asyncio.run(_run(args, _settings(args)))
        # Here, where a reader that has gone is still noticed in peace.
        sys.stdout.flush()
    except KeyboardInterrupt:
        code = 130
    except BaseExceptionGroup as group:
        code = _end(first_of(group), group)
    except Exception as exc:
        code = _end(exc, exc)
    sys.exit(code)


def _settings(args: Any) -> Settings | None:
    """The configuration; None for a command that wants none, or that goes on without one where there is none."""
    if getattr(args, "bare", False):
        return None
    try:
        file = find_config(args.config)
    except Refused:
        if getattr(args, "any_config", False):
            return None
        raise
    return load(file)


def _end(exc: BaseException, whole: BaseException) -> int:
    """The exit code of an error that a person can do something about; a bug of ours is raised as it is."""
    match exc:
        case Refused() | Missing():
            return _complain(exc, 2)
        case BrokenPipeError():
            return _unread()
        case NetciError() | OSError():
            return _complain(exc, 3)
    raise whole


def _unread() -> int:
    """The exit code where the reader of our output has gone, as of ``| head``: that of a shell for SIGPIPE."""
    # What is still in buffers is written when Python ends, and would be complained of.
    with contextlib.suppress(OSError), open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())
    return 141


async def _run(args: Any, settings: Settings | None) -> int:
    return int(await args.run(args, settings))


def _complain(exc: BaseException, code: int) -> int:
    print(f"netci: {exc}", file=sys.stderr)
    return code


if __name__ == "__main__":
    main()
