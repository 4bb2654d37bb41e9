"""Branches, spools, and labs with settings of their own."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from services.executor.remote.branch import Branch
from services.executor.remote.config import LabSettings
from services.executor.remote.spool import Spool, SpooledRun, key_of
from shared.settings import parse_as

NOW = datetime(2026, 11, 23, 9, 5, tzinfo=UTC)

TOML = """
server = "{server}"
token_env = "{token_env}"
data = "{data}"
{more}
[retry]
first = "{first}"
longest = "{longest}"
[[executors]]
name = "net"
streams = ["net-next"]
suite = {suite}
driver = {driver}
"""
SSH = '{ kind = "ssh", hosts = ["root@vm1"], key_file = "/nowhere/key", known_hosts = "/nowhere/hosts" }'
SCRIPT = '{ kind = "script", command = "true", test = "t" }'


def some_toml(
    data: Path, server: str = "http://127.0.0.1:1", more: str = "", *, suite: str = SCRIPT, driver: str = SSH,
    token_env: str = "LAB_TOKEN", first: str = "20ms", longest: str = "100ms",
) -> str:  # fmt: skip
    return TOML.format(
        server=server, data=data, more=more, suite=suite, driver=driver, token_env=token_env, first=first,
        longest=longest,
    )  # fmt: skip


def some_settings(data: Path, server: str = "http://127.0.0.1:1", more: str = "") -> LabSettings:
    return parse_as(LabSettings, some_toml(data, server, more), "lab.toml")


def a_branch(slot: int = 9, stream: str = "net-next", announced: datetime | None = None, url: str = "") -> Branch:
    name = f"{stream}-2026-11-23--{slot:02}-00"
    at = announced or datetime(2026, 11, 23, slot, 1, tzinfo=UTC)
    return Branch(name, stream, f"{slot:x}" * 40 if slot < 16 else "f" * 40, "b" * 40, url, at)


def a_spool(folder: Path) -> Spool:
    (folder / "runs").mkdir(parents=True, exist_ok=True)
    return Spool(folder)


def an_order(spool: Spool, branch: Branch | None = None, executor: str = "net") -> SpooledRun:
    branch = branch or a_branch()
    spool.order(branch, executor, branch.announced + timedelta(hours=2))
    return spool.runs[key_of(branch, executor)]
