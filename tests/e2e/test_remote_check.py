"""`netci remote check`: a good lab passes, each fault has its line with a way to mend it, and nothing of it counts."""

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from shared.practice.hosts import Fleet, served_hosts
from tests.conftest import Database, FloorFor
from tests.e2e.labs import Lab, a_lab
from tests.e2e.programs import netci
from tests.services.ingest.api.lab import a_token
from tests.support.cutting import Way


@pytest.fixture
async def fleet() -> AsyncIterator[Fleet]:
    async with served_hosts(1) as made:
        yield made


async def checked(lab: Lab) -> tuple[int, dict[str, dict[str, Any]]]:
    """Exit code and findings, by what they are of."""
    ended = await netci("remote", "check", "--json", str(lab.config), env=lab.env)
    assert ended.out, ended.err
    return ended.code, {found["what"]: found for found in json.loads(ended.out)}


def bad(findings: dict[str, dict[str, Any]]) -> list[str]:
    return [what for what, found in findings.items() if not found["ok"]]


async def test_a_good_lab_passes_and_nothing_of_it_is_seen(
    database: Database, floor_for: FloorFor, fleet: Fleet, tmp_path: Path
) -> None:
    async with a_lab(database, floor_for, fleet, tmp_path, sandbox=True) as lab:
        ended = await netci("remote", "check", str(lab.config), env=lab.env)
        assert ended.code == 0, ended.out + ended.err
        assert ended.out.splitlines()[-1] == "this lab keeps the contract"
        lines = {re.split("  +", line)[1] for line in ended.out.splitlines()[:-1]}
        assert {"server", "token", "clock", "run opened", "the same cases again", "a wrong case", "artifact"} <= lines
        [run] = await lab.runs()
        assert (run["trial"], run["visibility"], run["state"]) == (True, "operator", "done")
        told = await lab.owner.fetch("select body->>'visibility' as seen_by from floor.events where type like '%run%'")
        assert {row["seen_by"] for row in told} <= {"operator"}


async def test_a_token_that_counts_is_not_posted_with(
    database: Database, floor_for: FloorFor, fleet: Fleet, tmp_path: Path
) -> None:
    async with a_lab(database, floor_for, fleet, tmp_path) as lab:
        code, findings = await checked(lab)
        assert (code, bad(findings)) == (1, ["sandbox"])
        assert "--sandbox" in findings["sandbox"]["mend"]
        assert await lab.runs() == []


async def test_each_fault_has_its_line(database: Database, floor_for: FloorFor, fleet: Fleet, tmp_path: Path) -> None:
    async with a_lab(database, floor_for, fleet, tmp_path, sandbox=True) as lab:
        await lab.cut()
        await fleet.hosts[0].wrong_key()
        other = await a_token(lab.owner, ("results:write:other",), "lab-x", sandbox=True)
        code, findings = await checked(_with(lab, other))
        assert code == 1
        assert {"scopes", "fetch", "run opened"} <= set(bad(findings))
        assert any(what.startswith("host ") for what in bad(findings))
        assert all(findings[what]["mend"] for what in bad(findings))


async def test_without_the_server_or_a_good_token_it_stops_there(
    database: Database, floor_for: FloorFor, fleet: Fleet, tmp_path: Path
) -> None:
    async with a_lab(database, floor_for, fleet, tmp_path, sandbox=True) as lab:
        code, findings = await checked(_with(lab, "netci_no"))
        assert (code, bad(findings)) == (1, ["token"])
        lab.net.turn(Way.CUT)
        code, findings = await checked(lab)
        assert (code, bad(findings)) == (1, ["server"])
        assert "run opened" not in findings


def _with(lab: Lab, token: str) -> Lab:
    return Lab(lab.folder, lab.net, lab.owner, lab.tests, {**lab.env, "LAB_TOKEN": token})


async def test_a_wrong_configuration_is_named_by_its_key(tmp_path: Path) -> None:
    file = tmp_path / "lab.toml"
    file.write_text('server = "http://ci.example.org"\ntoken_env = "X"\ndata = "/x"\nfolow = "sse"\nexecutors = []\n')
    ended = await netci("remote", "check", str(file))
    assert ended.code == 2
    for words in ("server: a token does not travel in the clear", "folow: there is no such key", "executors: "):
        assert words in ended.err
