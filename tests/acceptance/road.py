"""The road from a mail to a check, walked once: what is posted and cut, and what must then be there."""

import json
import os
import subprocess
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

from tests.acceptance.composed import healthy
from tests.acceptance.look import Checks, Heard, labs_door, pages, read_checks
from tests.acceptance.series import ROLES, Made, Wanted
from tests.acceptance.stage import Stage
from tests.house.files import ROOMS, service


class Road(Stage):
    """What was walked, and what was found wrong."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.faults: list[str] = []
        self.branches: list[str] = []
        self.heard = Heard()
        self.checks = Checks({})

    # Walking

    def post(self) -> list[Made]:
        heads = self.out.heads
        made = [self.out.author.make(role, heads[role.tree]) for role in ROLES]
        for series in made:
            self.out.post(series.mails)
        return made

    def cut(self, why: str) -> None:
        said = self.command("cut", "net-next", "--why", why, "--wait", "300", "--json")
        facts = json.loads(next(line for line in said.splitlines()[::-1] if line.startswith("{")))
        self.branches.append(facts["name"])
        self.say(f"cut {facts['name']} {facts['commit'][:12]}: {facts['taken']} series, {facts['left_out']} left out")

    def until(self, what: str, series: Sequence[Made], wanted: dict[str, Wanted], seconds: float) -> None:
        """Until Patchwork has what the roles deserve; what is missing at the end is a fault."""
        end = time.monotonic() + seconds
        while faults := read_checks().faults(series, wanted):
            for name in ROOMS:
                assert self.rooms[name].process.poll() is None, f"{name} has ended:\n{self.rooms[name].said()}"
            if time.monotonic() > end:
                self.faults += [f"{what}: {fault}" for fault in faults]
                self.say(f"{what}: not within {seconds:g} s")
                return
            time.sleep(1)
        self.say(f"{what}: as it should be")

    # Looking

    def apart(self) -> None:
        """Each room is who compose.yaml says, without powers, and sees nobody else's secrets."""
        for name in ROOMS:
            facts = dict(line.split(":\t", 1) for line in _status(self.rooms[name].pid) if ":\t" in line)
            uid, gid = service(name)["user"].split(":")
            if (facts["Uid"].split()[0], facts["Gid"].split()[0]) != (uid, gid):
                self.faults.append(f"{name} runs as {facts['Uid']}")
            if int(facts["CapEff"], 16) or int(facts["CapBnd"], 16) or facts["NoNewPrivs"] != "1":
                self.faults.append(f"{name} has capabilities {facts['CapEff']} {facts['CapBnd']}")
            seen = set(self.rooms[name].run(["ls", "/run/secrets"]).stdout.split())
            if seen != {grant["target"] for grant in service(name)["secrets"]}:
                self.faults.append(f"{name} sees the secrets {sorted(seen)}")
            if self.rooms[name].run(["sh", "-c", "echo > /etc/netci/mine || echo > /usr/mine"]).returncode == 0:
                self.faults.append(f"{name} can write to its root")

    def stop_rooms(self) -> None:
        for name in ROOMS:
            if code := self.rooms[name].stop():
                self.faults.append(f"{name} ended with {code} on SIGTERM:\n{self.rooms[name].said(10)}")


def _status(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/status").read_text().splitlines()


def walk(folder: Path) -> int:
    """The whole road; 0 if nothing was wrong."""
    # Whatever the machine's mounts are to one another, ours are seen by nobody else.
    subprocess.run(["mount", "--bind", str(folder), str(folder)], check=True)
    subprocess.run(["mount", "--make-private", str(folder)], check=True)
    os.umask(0o022)
    road = Road(folder)
    try:
        series = _walk(road)
    except Exception as exc:
        traceback.print_exc()
        _tails(road)
        print(f"FAILED: {exc}", file=sys.stderr)
        return 1
    finally:
        road.close()
    print(table(series, road.checks))
    for fault in road.faults:
        print(f"WRONG  {fault}")
    if road.faults:
        _tails(road)
    print(f"acceptance: {'FAILED' if road.faults else 'passed'} in {time.monotonic() - road.began:.0f} s")
    return 1 if road.faults else 0


def _walk(road: Road) -> list[Made]:
    road.network()
    road.prepare()
    road.say("PostgreSQL and RabbitMQ …")
    road.servers()
    road.say("the kernel's source, Patchwork, forge and two hosts …")
    road.outside()
    road.say("the rooms and a proxy …")
    road.start_rooms()
    road.heard.listen()
    road.apart()
    series = road.post()
    road.say(f"{len(series)} series are on Patchwork")
    applied = {role.name: {key: value for key, value in role.first.items() if key != "contest"} for role in ROLES}
    road.until("trees and application", series, applied, 180)
    road.cut("acceptance: all together")
    road.until("the red branch", series, {role.name: role.first for role in ROLES}, 180)
    breaking = next(made for made in series if made.role.name == "breaking")
    road.command("series", "hold", breaking.ids[0], "--why", "it breaks reuseaddr_conflict")
    road.cut("acceptance: without the breaking one")
    road.until("the mended branch", series, {role.name: role.second for role in ROLES}, 180)
    ours: dict[str, Wanted] = {role.name: {} if role.wild else {"verify_fixes": "success"} for role in ROLES}
    road.until("our own check of each patch", series, ours, 600)
    _look(road, series)
    return series


def _look(road: Road, series: Sequence[Made]) -> None:
    checks = road.checks = read_checks()
    road.faults += [f"posted again: {line}" for line in checks.repeated()]
    road.faults += _named(series, checks)
    pictures = road.folder / "pictures"
    pictures.mkdir()
    road.faults += pages(series, road.branches, str(pictures))
    road.say("pages rendered in Chromium")
    road.faults += labs_door()
    road.faults += road.heard.faults()
    road.faults += [f"{host} was never used" for host in ("alpha", "beta") if not road.out.used(host)]
    road.say(f"{len(road.heard.sequences)} events heard through the proxy, the slowest after {road.heard.late:.2f} s")
    for name in ROOMS:
        ok, said = healthy(road.rooms[name])
        if not ok:
            road.faults.append(f"{name} is not healthy at the end: {said}")
    road.stop_rooms()


def _named(series: Sequence[Made], checks: Checks) -> list[str]:
    """A conflict names its rival, by title."""
    titles = {made.role.name: made.title for made in series}
    return [
        f"{made.role.name}: the conflict does not name {titles[made.role.names]!r}: {text!r}"
        for made in series
        if made.role.names
        for text in [checks.newest(made.ids[0], "contest")["description"]]
        if titles[made.role.names][:30] not in text
    ]


def table(series: Sequence[Made], checks: Checks) -> str:
    lines = [f"{'series':10} {'patch':46} {'tree_selection':15} {'apply':8} {'contest':18}"]
    for made in series:
        for message_id, (subject, _) in zip(made.ids, made.role.patches, strict=True):
            states = [
                ">".join(c["state"] for c in checks.by_patch.get(message_id, []) if c["context"] == context) or "-"
                for context in ("tree_selection", "apply", "contest")
            ]
            lines.append(f"{made.role.name:10} {subject[:46]:46} {states[0]:15} {states[1]:8} {states[2]:18}")
    return "\n".join(["", *lines, ""])


def _tails(road: Road) -> None:
    for name, one in road.rooms.items():
        print(f"--- {name}\n{one.said(30)}", file=sys.stderr)
