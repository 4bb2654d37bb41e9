"""The program in the hands of somebody new: what it says to wrong words, wrong files and taken places.

A message names what is wrong and what to do, in a line or two, never by a traceback.
"""

import os
import signal
import socket
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.e2e.programs import Ended, free_listen, netci, started

CONFIG = """\
data = "{data}"
[web]
listen = "{listen}"
public_url = "http://{listen}"
[disk]
free = 0
[projects.netdev]
post = "off"
[projects.netdev.trees.net-next]
git = "{data}/none.git"
"""


def config(folder: Path, listen: str, name: str = "netci.toml", data: str = "") -> Path:
    path = folder / name
    path.write_text(CONFIG.format(data=data or folder / "data", listen=listen))
    return path


def complaint(ended: Ended, code: int) -> str:
    """What it said on stderr, which is short and for people."""
    assert ended.code == code, (ended.code, ended.out[-2000:], ended.err[-2000:])
    assert "Traceback" not in ended.err + ended.out
    assert len(ended.err.splitlines()) <= 6, ended.err
    return ended.err


COMMANDS = (
    "up", "run", "demo", "migrate", "backup", "restore", "status", "doctor", "sources", "cut", "series", "series hold",
    "series list", "resolve", "pause", "resume", "verdict", "posts", "dead", "rebuild",
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
async def test_help_of_every_command(command: str) -> None:
    ended = await netci(*command.split(), "--help")
    assert ended.code == 0, ended.err
    assert ended.out.startswith(f"usage: netci {command.split()[0]}")
    assert not ended.err


async def test_help_teaches_where_to_begin() -> None:
    ended = await netci("--help")
    assert ended.code == 0
    assert "Start here" in ended.out
    listed = {line.split()[0] for line in ended.out.splitlines() if line.startswith("    ")}
    assert {command.split()[0] for command in COMMANDS} <= listed


WRONG: Mapping[str, tuple[tuple[str, ...], str]] = {
    "nothing": ((), "COMMAND"),
    "no-such-command": (("frobnicate",), "invalid choice: 'frobnicate'"),
    "no-such-room": (("run", "kitchen"), "ingest"),
    "no-stream": (("cut",), "STREAM"),
    "no-why": (("series", "hold", "a@b"), "--why"),
    "no-such-file": (("--config", "/nonexistent/netci.toml", "up"), "copy config/example.toml"),
    "no-file": (("up",), "give --config FILE"),
    "seed": (("demo", "--seed", "x"), "--seed"),
    "listen": (("demo", "--once", "--listen", "here"), "HOST:PORT"),
    "port": (("demo", "--once", "--listen", "127.0.0.1:99999"), "HOST:PORT"),
}


@pytest.mark.parametrize("case", WRONG)
async def test_wrong_use_is_told_and_ends_with_2(case: str, tmp_path: Path) -> None:
    words, said = WRONG[case]
    assert said in complaint(await netci(*words, cwd=tmp_path), 2)


FAULTS = {
    "a key that is none": ('post = "off"', 'post = "off"\npol = 1', "projects.netdev.pol: there is no such key"),
    "a wrong value": ('post = "off"', 'post = "maybe"', "projects.netdev.post"),
    "no address": ("[disk]", "[ingest]\nlisten = 'here'\n[disk]", "ingest.listen: 'here' is no address"),
    "no port": ("[disk]", "[ingest]\nlisten = ':70000'\n[disk]", "ingest.listen: ':70000' is no address"),
    "no TOML": ("[disk]", "[disk", "line"),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_wrong_file_is_told_by_its_key(fault: str, tmp_path: Path) -> None:
    old, new, said = FAULTS[fault]
    path = config(tmp_path, "127.0.0.1:8080")
    path.write_text(path.read_text().replace(old, new))
    err = complaint(await netci("--config", str(path), "status"), 2)
    assert said in err
    assert str(path) in err


async def test_a_data_folder_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    path = config(tmp_path, free_listen(), data=str(tmp_path / "file" / "data"))
    assert "name a folder that this user may write" in complaint(await netci("--config", str(path), "up"), 2)


@pytest.mark.parametrize("command", ["sources", "cut net-next", "posts", "dead", "run report"])
async def test_commands_without_a_running_netci_say_how_to_start_it(command: str, tmp_path: Path) -> None:
    path = config(tmp_path, free_listen())
    assert "`netci up` starts" in complaint(await netci("--config", str(path), *command.split()), 3)


async def test_the_demo_on_a_taken_address_says_so_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        where = f"127.0.0.1:{taken.getsockname()[1]}"
        err = complaint(await netci("demo", "--once", "--listen", where), 2)
    assert f"can't listen on {where}" in err
    assert "--listen" in err


@pytest.mark.slow
async def test_two_on_one_data_folder_and_on_one_address(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The first goes on; each other one says what is taken and by whom."""
    folder = tmp_path_factory.mktemp("up")
    for place in (folder, *folder.parents[:3]):
        # The embedded PostgreSQL runs as a user of its own, who must get here.
        if place.stat().st_uid == os.getuid():
            place.chmod(place.stat().st_mode | 0o011)
    listen = free_listen()
    first = await started("--config", str(config(folder, listen)), "up")
    try:
        assert first.stderr
        async for line in first.stderr:
            if b'"listening"' in line:
                break
        second = config(folder, free_listen(), "second.toml")
        assert f"(pid {first.pid})" in complaint(await netci("--config", str(second), "up"), 2)
        third = config(folder, listen, "third.toml", str(folder / "other"))
        ended = await netci("--log", "error", "--config", str(third), "up")
        assert f"can't listen on {listen}" in complaint(ended, 2)
        assert (await netci("--config", str(folder / "netci.toml"), "status")).code in (0, 1)
    finally:
        first.send_signal(signal.SIGINT)
        await first.communicate()
    assert first.returncode == 0


@pytest.mark.slow
async def test_the_demo_is_ended_by_one_interrupt() -> None:
    process = await started("demo", "--once", "--listen", free_listen())
    assert process.stdout
    async for line in process.stdout:
        if b"posting" in line:
            break
    process.send_signal(signal.SIGINT)
    out, err = await process.communicate()
    assert process.returncode == 130
    assert b"Traceback" not in out + err
