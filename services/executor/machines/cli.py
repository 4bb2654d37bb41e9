"""`netci machine`: real machines for people. To see them, have one for a while, and put it back.

A reservation is the very lease that executors hold, with an end: no run gets the machine meanwhile, and only whoever
has it may do anything to it. What a person leaves on a machine is dirt, as what a test leaves is: the next lease resets
it.
"""

import argparse
import asyncio
import getpass
import json
import shlex
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from pydantic import TypeAdapter

from services.executor.drivers.base import Job
from services.executor.drivers.dualhost.config import DualHostConfig
from services.executor.drivers.dualhost.machine import HEALTH, Machine
from services.executor.drivers.rack import DriverConfig
from services.executor.drivers.ssh import own
from services.executor.drivers.way import as_infra
from services.executor.machines import book
from services.executor.machines.book import Standing, State
from services.executor.machines.file_book import FileBook
from services.executor.store import SQL
from shared.clock import wall
from shared.db.outbox import SQL as FLOOR
from shared.db.pool import Connection
from shared.errors import InfraError, Missing, NetciError, Refused
from shared.floor import connected
from shared.formats.clean import plain
from shared.settings import Settings, parse_duration

LOOK = 2.0
"""Seconds between two looks at a machine that is waited for."""
_PERSON = "person:"
_EPILOG = """\
Example: netci machine reserve dut7 dut8 --for 2h --why 'bisecting the ice oops'
         netci machine console dut7
         netci machine release dut7 dut8
"""


@dataclass(frozen=True)
class _Lab:
    """The machines that this server's configuration names."""

    machines: dict[str, Machine]
    configs: dict[str, DualHostConfig]
    book: FileBook

    def machine(self, name: str) -> Machine:
        if name not in self.machines:
            known = ", ".join(sorted(self.machines)) or "none: no executor has a driver of the kind dualhost"
            raise Missing(f"there is no machine {name}; there are: {known}")
        return self.machines[name]


def add(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "machine", help="look at real machines, and have one for a while", description=_text(), epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    verbs = parser.add_subparsers(required=True, metavar="VERB")

    def verb(name: str, act: Any, words: str) -> Any:
        made = verbs.add_parser(name, help=words, description=words[0].upper() + words[1:] + ".")
        made.add_argument("--json", action="store_true", help="for programs")
        made.set_defaults(run=act)
        return made

    verb("list", run_list, "all machines: how each stands, and who has it")
    reserve = verb("reserve", run_reserve, "have machines to yourself, all of them or none")
    reserve.add_argument("machines", nargs="+", metavar="MACHINE")
    reserve.add_argument(
        "--for", dest="span", default="1h", metavar="TIME", help="until it ends by itself; default: 1h"
    )
    reserve.add_argument("--why", required=True, help="shown to who waits")
    reserve.add_argument("--wait", default="", metavar="TIME", help="wait so long for whoever has them")
    release = verb("release", run_release, "give machines back before the time is over")
    release.add_argument("machines", nargs="+", metavar="MACHINE")
    power = verb("power", run_power, "whether a machine is on; or switch one that you have")
    power.add_argument("machine", metavar="MACHINE")
    power.add_argument("what", choices=("status", "on", "off", "cycle"))
    console = verb("console", run_console, "what the serial console of a machine that you have says, until Ctrl-C")
    console.add_argument("machine", metavar="MACHINE")
    console.add_argument("--seconds", type=float, default=None, help="end by itself")
    sysrq = verb("sysrq", run_sysrq, "send a magic SysRq to the kernel of a machine that you have")
    sysrq.add_argument("machine", metavar="MACHINE")
    sysrq.add_argument("key", help="one letter: c crashes, t shows tasks, b reboots")
    health = verb("health", run_health, "ask a machine whether it answers and is sound; exit 1 if it is not")
    health.add_argument("machine", metavar="MACHINE")
    health.add_argument("--well", action="store_true", help="if it is: out of suspicion, or of quarantine")
    maintenance = verb("maintenance", run_maintenance, "give a machine to no run; or to runs again")
    maintenance.add_argument("machine", metavar="MACHINE")
    how = maintenance.add_mutually_exclusive_group(required=True)
    how.add_argument("--why", default="", help="begin")
    how.add_argument("--end", action="store_true")


def _text() -> str:
    return 'Machines of executors with driver.kind = "dualhost". Call it where the executor runs: it has the keys.'


def _lab(settings: Settings) -> _Lab:
    machines: dict[str, Machine] = {}
    configs: dict[str, DualHostConfig] = {}
    for table in settings.executors:
        config = TypeAdapter(DriverConfig).validate_python(table.driver)
        if isinstance(config, DualHostConfig):
            for name, one in config.machines.items():
                machines.setdefault(name, Machine(name, one, config))
                configs.setdefault(name, config)
    return _Lab(machines, configs, FileBook(settings.data / "executor" / "machines"))


def _me() -> str:
    return f"{_PERSON}{getpass.getuser()}"


async def _holders(conn: Connection, names: Sequence[str]) -> dict[str, Any]:
    rows = await conn.fetch(SQL["machine_leases"], [f"host:{name}" for name in names])
    return {row["name"].removeprefix("host:"): row for row in rows}


def _who(row: Any) -> str:
    """Who has it, and until when, for a person."""
    if row is None:
        return ""
    name, _, why = str(row["holder"]).removeprefix(_PERSON).partition(":")
    if not str(row["holder"]).startswith(_PERSON):
        return "a run"
    return f"{name}{f' ({why})' if why else ''} until {row['until']:%Y-%m-%d %H:%M}"


async def run_list(args: argparse.Namespace, settings: Settings) -> int:
    lab = _lab(settings)
    async with connected(settings) as conn:
        held = await _holders(conn, list(lab.machines))
    rows: list[dict[str, Any]] = []
    for name, machine in sorted(lab.machines.items()):
        now = await lab.book.standing(name)
        rows.append({
            "machine": name, "address": machine.config.address, "state": str(now.state), "failures": now.failures,
            "why": now.why, "dirty": now.dirty, "held_by": _who(held.get(name)), "power": machine.power.name,
        })  # fmt: skip
    if args.json:
        print(json.dumps(rows, indent=1))
        return 0
    if not rows:
        print("no executor has a driver of the kind dualhost, and so no machine")
    for row in rows:
        state = row["state"] + (f" ({row['why']})" if row["why"] else "")
        print(plain(f"{row['machine']:<16} {state:<28} {row['held_by'] or 'free'}"))
    return 0


async def run_reserve(args: argparse.Namespace, settings: Settings) -> int:
    lab, span = _lab(settings), _span(args.span, "--for")
    names = sorted({lab.machine(name).name for name in args.machines})
    until = wall() + (_span(args.wait, "--wait") if args.wait else timedelta(0))
    holder = f"{_me()}:{args.why}"
    async with connected(settings) as conn:
        while (missing := await _take(conn, names, holder, span)) is not None:
            if wall() >= until:
                raise Refused(
                    f"{missing} is not free: {_who((await _holders(conn, [missing])).get(missing)) or 'a run'}"
                )
            await asyncio.sleep(LOOK)
        rows = await _holders(conn, names)
    for name in names:
        await _write(lab, name, dirty=True)
    end: datetime = min(rows[name]["until"] for name in names)
    told = {"machines": names, "until": end.isoformat(), "number": max(int(rows[name]["number"]) for name in names)}
    where = ", ".join(f"{name} at {lab.machines[name].config.address}" for name in names)
    print(json.dumps(told) if args.json else f"{where}: yours until {end:%Y-%m-%d %H:%M}")
    return 0


async def _take(conn: Connection, names: Sequence[str], holder: str, span: timedelta) -> str | None:
    """All of them or none; the first that is not to be had."""
    taking = conn.transaction()
    await taking.start()
    for name in names:
        if await conn.fetchval(SQL["mine"], f"host:{name}", _me() + ":") is not None:
            await conn.execute(SQL["extend_mine"], f"host:{name}", holder, span.total_seconds())
        elif await conn.fetchval(FLOOR["take_lease"], f"host:{name}", holder, span.total_seconds()) is None:
            await taking.rollback()
            return name
    await taking.commit()
    return None


async def run_release(args: argparse.Namespace, settings: Settings) -> int:
    lab = _lab(settings)
    async with connected(settings) as conn:
        for name in args.machines:
            lab.machine(name)
            await _must_have(conn, name)
        for name in args.machines:
            await conn.execute(SQL["drop_mine"], f"host:{name}", _me() + ":")
    print(json.dumps({"released": args.machines}) if args.json else f"{', '.join(args.machines)}: free")
    return 0


async def _must_have(conn: Connection, name: str) -> None:
    """Raises Refused for who has not reserved it."""
    if await conn.fetchval(SQL["mine"], f"host:{name}", _me() + ":") is None:
        row = (await _holders(conn, [name])).get(name)
        raise Refused(f"you have not reserved {name}; {f'it has {_who(row)}' if row else 'nobody has it'}")


async def run_power(args: argparse.Namespace, settings: Settings) -> int:
    lab = _lab(settings)
    machine = lab.machine(args.machine)
    if args.what != "status":
        async with connected(settings) as conn:
            await _must_have(conn, args.machine)
        await {"on": machine.power.on, "off": machine.power.off, "cycle": machine.power.cycle}[args.what]()
    state = await machine.power.state()
    print(json.dumps({"machine": machine.name, "power": state}) if args.json else f"{machine.name}: {state}")
    return 0


async def run_console(args: argparse.Namespace, settings: Settings) -> int:
    machine = _lab(settings).machine(args.machine)
    async with connected(settings) as conn:
        await _must_have(conn, args.machine)
    async with AsyncExitStack() as stack:
        line = await stack.enter_async_context(machine.power.console())
        with suppress(TimeoutError):
            async with asyncio.timeout(args.seconds):
                while data := await line.reader.read(1 << 16):
                    # As it is: a person's own terminal is to show what the machine says.
                    sys.stdout.buffer.write(data)
                    sys.stdout.flush()
    return 0


async def run_sysrq(args: argparse.Namespace, settings: Settings) -> int:
    machine = _lab(settings).machine(args.machine)
    if len(args.key) != 1 or not args.key.isascii() or not args.key.isalnum():
        raise Refused(f"{args.key!r} is no key of SysRq: one letter or digit")
    async with connected(settings) as conn:
        await _must_have(conn, args.machine)
    async with machine.power.console() as line:
        await line.sysrq(args.key)
    print(json.dumps({"machine": machine.name, "sysrq": args.key}) if args.json else f"{machine.name}: sent {args.key}")
    return 0


async def run_health(args: argparse.Namespace, settings: Settings) -> int:
    lab = _lab(settings)
    machine, why, release = lab.machine(args.machine), "", ""
    try:
        found = await machine.hello()
        release = found.release
        if not release.startswith(machine.config.golden):
            raise InfraError(f"{machine.name}: it runs {release}, not {machine.config.golden}")
        await _checked(lab, args.machine, settings)
    except NetciError as exc:
        why = str(exc)
    if args.well and not why:
        now = await lab.book.standing(args.machine)
        state = now if now.state is not State.MAINTENANCE else replace(now, state=State.HEALTHY)
        await lab.book.write(args.machine, replace(book.well(state), dirty=now.dirty))
    now = await lab.book.standing(args.machine)
    told = {"machine": args.machine, "sound": not why, "why": why, "kernel": release, "state": str(now.state)}
    text = f"{args.machine}: {f'not sound: {why}' if why else f'sound, runs {release}'}; {now.state}"
    print(json.dumps(told) if args.json else plain(text))
    return 1 if why else 0


async def _checked(lab: _Lab, name: str, settings: Settings) -> None:
    """The operator's health script, which needs a lease: only of a machine that nobody or we have."""
    machine = lab.machines[name]
    if not machine.config.health:
        return
    async with connected(settings) as conn:
        row = (await _holders(conn, [name])).get(name)
        if row is not None and not str(row["holder"]).startswith(_me() + ":"):
            raise Refused(f"{name} is in use: {_who(row)}; its health script runs before and after each lease")
        number = int(row["number"]) if row is not None else 0
    async with machine.link() as link:
        if not number:
            # Nobody's lease is younger than none: the script is run as it is, and nothing of ours stays there.
            with as_infra(name, "running its health script"):
                async with asyncio.timeout(HEALTH.total_seconds()):
                    done = await link.run(f"sh -c {shlex.quote(machine.config.health)}")
            if done.exit_status != 0:
                raise InfraError(f"{name}: its health check fails: {str(done.stdout or done.stderr).strip()[-200:]}")
            return
        host, _, _ = await own(name, link, Job("health", number), lab.configs[name].manner)
        await machine.check(host)


async def run_maintenance(args: argparse.Namespace, settings: Settings) -> int:
    lab = _lab(settings)
    lab.machine(args.machine)
    if args.end:
        await _write(lab, args.machine, state=State.HEALTHY, why="", failures=0, dirty=True)
    else:
        await _write(lab, args.machine, state=State.MAINTENANCE, why=f"{getpass.getuser()}: {args.why}")
    now = await lab.book.standing(args.machine)
    told = {"machine": args.machine, "state": str(now.state), "why": now.why}
    print(json.dumps(told) if args.json else plain(f"{args.machine}: {now.state}{f', {now.why}' if now.why else ''}"))
    return 0


async def _write(lab: _Lab, name: str, **changes: Any) -> Standing:
    now = replace(await lab.book.standing(name), **changes)
    await lab.book.write(name, now)
    return now


def _span(text: str, option: str) -> timedelta:
    try:
        span = parse_duration(text)
    except ValueError as exc:
        raise Refused(f"{option}: {exc}") from None
    if not isinstance(span, timedelta) or not timedelta(0) < span <= timedelta(days=30):
        raise Refused(f"{option}: {text!r} is no time of up to 30 days, as 90m or 2h")
    return span
