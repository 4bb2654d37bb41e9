"""`netci machine` as a person types it: practice hosts as machines, whose power is a file."""

import argparse
import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest

from services.executor.machines import cli
from services.executor.machines.book import Standing, State
from services.executor.machines.file_book import FileBook
from shared.db.lease import held
from shared.errors import Missing, Refused
from shared.practice.hosts import Fleet, served_hosts
from shared.settings import Settings
from tests.conftest import Database


@dataclass
class Lab:
    """Two machines; `settings` name them."""

    settings: Settings
    fleet: Fleet
    database: Database
    folder: Path

    @property
    def book(self) -> FileBook:
        return FileBook(self.settings.data / "executor" / "machines")

    def power(self, name: str) -> str:
        return (self.folder / f"{name}.power").read_text()

    async def netci(self, *words: str) -> int:
        parser = argparse.ArgumentParser()
        cli.add(parser.add_subparsers(required=True))
        args = parser.parse_args(["machine", *words])
        return int(await args.run(args, self.settings))


@pytest.fixture
async def lab(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Lab]:
    monkeypatch.setattr(cli, "LOOK", 0.05)
    monkeypatch.setattr("getpass.getuser", lambda: "ada")
    async with served_hosts(2) as fleet:
        machines: dict[str, Any] = {}
        for name, host in zip(("dut", "peer"), fleet.hosts, strict=True):
            at = tmp_path / f"{name}.power"
            at.write_text("on")
            machines[name] = {
                "address": host.address, "health": f"test ! -e {tmp_path}/{name}.ill || (echo the fan stands; exit 1)",
                "power": {
                    "kind": "command", "on": ["sh", "-c", f"printf on >{at}"], "off": ["sh", "-c", f"printf off >{at}"],
                    "status": ["cat", str(at)], "console": ["sh", "-c", "echo booting; read a; echo got $a; sleep 9"],
                    "sysrq_prefix": "~B",
                },
            }  # fmt: skip
        link = {"dut": "dut", "peer": "peer", "netif": "eth1", "peer_netif": "eth1", "local_v4": "192.0.2.1/24",
                "remote_v4": "192.0.2.2/24"}  # fmt: skip
        driver = {"kind": "dualhost", "machines": machines, "links": {"pair": link}, "key_file": str(fleet.key_file),
                  "known_hosts": str(fleet.known_hosts)}  # fmt: skip
        executor = {"remote": "lab", "name": "ice", "streams": [], "suite": {"kind": "script"}, "driver": driver}
        settings = cast(Any, Settings).model_construct(
            data=tmp_path, projects={}, executors=[type("Table", (), executor)()],
            database=Settings.model_fields["database"].get_default(call_default_factory=True).model_copy(
                update={"url": database.dsn}
            ),
        )  # fmt: skip
        yield Lab(settings, fleet, database, tmp_path)


def told(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


async def test_machines_are_reserved_together_seen_and_given_back(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    assert await lab.netci("reserve", "dut", "peer", "--for", "90m", "--why", "an oops", "--json") == 0
    assert told(capsys)["machines"] == ["dut", "peer"]
    assert await lab.netci("list", "--json") == 0
    rows = told(capsys)
    assert [(row["machine"], row["state"], row["dirty"]) for row in rows] == [
        ("dut", "healthy", True), ("peer", "healthy", True),
    ]  # fmt: skip
    assert rows[0]["held_by"].startswith("ada (an oops) until 20")
    # Longer, by who has it; no run gets it meanwhile.
    assert await lab.netci("reserve", "dut", "--why", "still") == 0
    pool = await lab.database.pool()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(held(pool, "host:dut", "a run").__aenter__(), 1.5)
    assert await lab.netci("release", "dut", "peer") == 0
    capsys.readouterr()
    assert await lab.netci("list") == 0
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        ["dut", "healthy", "free"], ["peer", "healthy", "free"],
    ]  # fmt: skip


async def test_all_or_none_and_waiting(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    pool = await lab.database.pool()
    async with held(pool, "host:peer", "executor-1:lab/ice:7"):
        with pytest.raises(Refused, match="peer is not free: a run"):
            await lab.netci("reserve", "dut", "peer", "--why", "x")
        await lab.netci("list", "--json")
        assert [row["held_by"] for row in told(capsys)] == ["", "a run"]
        waiting = asyncio.ensure_future(lab.netci("reserve", "dut", "peer", "--why", "x", "--wait", "1m"))
        await asyncio.sleep(0.3)
        assert not waiting.done()
    assert await waiting == 0


async def test_only_who_has_a_machine_does_anything_to_it(
    lab: Lab, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for words in (("power", "dut", "off"), ("console", "dut"), ("sysrq", "dut", "c"), ("release", "dut")):
        with pytest.raises(Refused, match="you have not reserved dut; nobody has it"):
            await lab.netci(*words)
    await lab.netci("reserve", "dut", "--why", "mine")
    monkeypatch.setattr("getpass.getuser", lambda: "eve")
    with pytest.raises(Refused, match=r"you have not reserved dut; it has ada \(mine\) until"):
        await lab.netci("power", "dut", "cycle")
    with pytest.raises(Refused, match="dut is not free: ada"):
        await lab.netci("reserve", "dut", "--why", "hers")
    assert lab.power("dut") == "on"
    capsys.readouterr()
    assert await lab.netci("power", "dut", "status") == 0
    assert capsys.readouterr().out == "dut: on\n"


async def test_power_console_and_sysrq(lab: Lab, capfd: pytest.CaptureFixture[str]) -> None:
    await lab.netci("reserve", "dut", "--why", "mine")
    assert await lab.netci("power", "dut", "off", "--json") == 0
    assert lab.power("dut") == "off"
    await lab.netci("power", "dut", "on")
    capfd.readouterr()
    assert await lab.netci("console", "dut", "--seconds", "1") == 0
    assert "booting" in capfd.readouterr().out
    assert await lab.netci("sysrq", "dut", "t") == 0
    for key in ("", "ctrl", "é", "-"):
        with pytest.raises(Refused, match="no key of SysRq"):
            await lab.netci("sysrq", "dut", key) if key != "-" else await lab.netci("sysrq", "dut", "--", "-")


async def test_health_ends_a_quarantine_that_is_over(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    await lab.book.write("dut", Standing(State.QUARANTINED, 3, "silent", dirty=True))
    (lab.folder / "dut.ill").touch()
    assert await lab.netci("health", "dut", "--well", "--json") == 1
    said = told(capsys)
    assert (said["sound"], said["state"]) == (False, "quarantined")
    assert "the fan stands" in said["why"]
    (lab.folder / "dut.ill").unlink()
    assert await lab.netci("health", "dut") == 0
    assert (await lab.book.standing("dut")).state is State.QUARANTINED
    await lab.netci("reserve", "dut", "--why", "look")
    assert await lab.netci("health", "dut", "--well") == 0
    now = await lab.book.standing("dut")
    assert (now.state, now.failures, now.dirty) == (State.HEALTHY, 0, True)
    await lab.fleet.hosts[0].die()
    assert await lab.netci("health", "dut") == 1
    assert "not sound: " in capsys.readouterr().out


async def test_maintenance_begins_and_ends(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    assert await lab.netci("maintenance", "peer", "--why", "a new cable") == 0
    assert capsys.readouterr().out == "peer: maintenance, ada: a new cable\n"
    assert not (await lab.book.standing("peer")).usable
    assert await lab.netci("maintenance", "peer", "--end") == 0
    assert (await lab.book.standing("peer")).usable


async def test_slips_of_the_pen_are_told(lab: Lab) -> None:
    with pytest.raises(Missing, match="there is no machine dutt; there are: dut, peer"):
        await lab.netci("power", "dutt", "status")
    for span in ("soon", "400d", "0s"):
        with pytest.raises(Refused, match="--for"):
            await lab.netci("reserve", "dut", "--for", span, "--why", "x")
