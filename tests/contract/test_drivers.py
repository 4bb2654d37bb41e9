"""What every driver promises, tried on practice hosts in this process and on a real OpenSSH server."""

import asyncio
import getpass
import os
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from services.executor.drivers.base import Capture, Command, Driver, Host, Job, LeaseLost, shell
from services.executor.drivers.ssh import SshDriver
from services.executor.drivers.ssh_config import SshConfig
from shared.errors import InfraError, Refused
from shared.practice.hosts import served_hosts
from tests.contract.sshd import sshd

LIMIT = timedelta(seconds=30)
pytestmark = pytest.mark.timeout(90)


@dataclass(frozen=True)
class Rack:
    """A host of one make, the driver for it, and ways to hurt the connection."""

    config: dict[str, Any]
    state: Path
    forwards: bool
    cut: Callable[[], None]

    def driver(self, **changes: Any) -> Driver:
        return SshDriver(SshConfig.model_validate(self.config | changes))

    def processes(self) -> list[int]:
        """The live processes of any lease on this host."""
        mark = f"NETCI_STATE={self.state}".encode()
        return [pid for pid, environ in _environments() if mark in environ.split(b"\0")]


@asynccontextmanager
async def practice_rack(folder: Path) -> AsyncIterator[Rack]:
    async with served_hosts(1, folder) as fleet:
        host = fleet.hosts[0]
        config = {"hosts": fleet.addresses, "key_file": fleet.key_file, "known_hosts": fleet.known_hosts}
        yield Rack(config, host.root / ".netci", False, host.cut)


@asynccontextmanager
async def openssh_rack(folder: Path) -> AsyncIterator[Rack]:
    with sshd(folder) as server:
        state = folder / "state"
        config = {
            "hosts": (server.address,), "key_file": server.key_file, "known_hosts": server.known_hosts,
            "directory": str(state),
        }  # fmt: skip
        yield Rack(config, state, True, server.cut)


@pytest.fixture(params=[practice_rack, openssh_rack], ids=["practice", "openssh"])
async def rack(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Rack]:
    async with request.param(tmp_path) as made:
        yield made
        for pid in made.processes():
            os.kill(pid, 9)


def a_job(lease: int = 1, run: str = "run-1") -> Job:
    return Job(run, lease)


async def said_by(host: Host, command: Command, timeout: timedelta = LIMIT) -> tuple[int | None, bytes, bytes]:
    said = Capture()
    done = await host.run(command, timeout=timeout, out=said)
    return done.code, said.stdout, said.stderr


async def test_a_command_runs_in_the_work_folder_and_its_streams_stay_apart(rack: Rack) -> None:
    async with rack.driver().lease(a_job()) as target:
        answer = await said_by(target.dut, shell("pwd; echo oops >&2; exit 7"))
    assert answer == (7, f"{target.work}\n".encode(), b"oops\n")
    assert target.work == PurePosixPath(rack.state / "runs" / "run-1")
    assert target.facts["kernel"] == os.uname().release


async def test_merged_streams_keep_their_order(rack: Rack) -> None:
    async with rack.driver().lease(a_job()) as target:
        code, stdout, stderr = await said_by(target.dut, shell("echo a; echo b >&2; echo c", merge=True))
    assert (code, stdout, stderr) == (0, b"a\nb\nc\n", b"")


async def test_words_and_environment_arrive_as_they_are(rack: Rack) -> None:
    odd = "a b'c\"d$HOME\\;é\n*"
    async with rack.driver().lease(a_job()) as target:
        command = shell('printf %s "$1$X"; printf " %s" "$PWD"', odd, env={"X": odd}, cwd=PurePosixPath("/"))
        _, stdout, _ = await said_by(target.dut, command)
    assert stdout.decode() == odd + odd + " /"


async def test_input_is_streamed_and_its_end_is_seen(rack: Rack) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for number in range(64):
            yield bytes([number]) * 40_000

    async with rack.driver().lease(a_job()) as target:
        code, stdout, _ = await said_by(target.dut, Command(("wc", "-c"), stdin=pieces()))
    assert (code, stdout.strip()) == (0, b"2560000")


async def test_a_command_that_ignores_its_input_still_ends(rack: Rack) -> None:
    async with rack.driver().lease(a_job()) as target:
        code, stdout, _ = await said_by(target.dut, shell("echo enough", stdin=b"x" * 8_000_000))
    assert (code, stdout) == (0, b"enough\n")


async def test_output_beyond_the_cap_is_dropped_and_says_so(rack: Rack) -> None:
    async with rack.driver().lease(a_job()) as target:
        said = Capture()
        command = shell("head -c 3000000 /dev/zero; echo fine >&2", cap=1000)
        done = await target.dut.run(command, timeout=LIMIT, out=said)
    assert (done.code, done.dropped) == (0, 2_999_000)
    assert said.stdout.startswith(b"\0" * 1000 + b"\n[netci: ")
    assert len(said.stdout) < 1100
    assert said.stderr == b"fine\n"


async def test_a_time_limit_ends_the_whole_group_and_keeps_what_was_said(rack: Rack) -> None:
    async with rack.driver(kill_grace="1s").lease(a_job()) as target:
        said = Capture()
        # The child ignores TERM and the grandchild flees into a session of its own.
        text = "echo begun; trap '' TERM; setsid sleep 1000 & sleep 1000; sleep 1000; sleep 1000"
        done = await target.dut.run(shell(text), timeout=timedelta(seconds=1), out=said)
        left = rack.processes()
    assert (done.timed_out, done.code, said.stdout) == (True, None, b"begun\n")
    assert left == []


async def test_what_a_command_leaves_behind_ends_with_it(rack: Rack) -> None:
    async with rack.driver().lease(a_job()) as target:
        code, stdout, _ = await said_by(target.dut, shell("setsid sleep 1000 & sleep 1000 & echo done"))
        left = rack.processes()
    assert (code, stdout, left) == (0, b"done\n", [])


async def test_a_cancelled_command_ends_on_the_host_too(rack: Rack) -> None:
    async with rack.driver().lease(a_job()) as target:
        begun = Begun()
        async with asyncio.TaskGroup() as group:
            running = group.create_task(target.dut.run(shell("echo x; sleep 1000"), timeout=LIMIT, out=begun))
            await begun.wait()
            running.cancel()
        left = rack.processes()
        again = await said_by(target.dut, shell("echo still here"))
    assert left == []
    assert again == (0, b"still here\n", b"")


async def test_a_lost_connection_is_the_machines_fault_and_the_command_runs_on(rack: Rack) -> None:
    with pytest.raises(InfraError) as caught:
        async with rack.driver().lease(a_job()) as target:
            await lose(rack, target.dut)
    assert caught.value.hints["host"] == rack.config["hosts"][0]
    assert rack.processes() != []


async def test_who_takes_over_ends_what_the_former_owner_left(rack: Rack) -> None:
    with pytest.raises(InfraError):
        async with rack.driver().lease(a_job(lease=3)) as target:
            await lose(rack, target.dut, first="trap '' TERM HUP PIPE; setsid sleep 1000 &")
    assert rack.processes() != []
    async with rack.driver(kill_grace="1s").lease(a_job(lease=4)) as target:
        left = rack.processes()
    assert left == []
    assert int(target.facts["ended"]) >= 1


async def test_the_same_owner_that_connects_anew_ends_its_own_left_overs(rack: Rack) -> None:
    with pytest.raises(InfraError):
        async with rack.driver().lease(a_job(lease=3)) as target:
            await lose(rack, target.dut)
    async with rack.driver().lease(a_job(lease=3)):
        assert rack.processes() == []


async def test_an_older_lease_gets_nowhere(rack: Rack) -> None:
    async with rack.driver().lease(a_job(lease=9)):
        pass
    with pytest.raises(LeaseLost):
        async with rack.driver().lease(a_job(lease=8)):
            pass


async def test_an_owner_that_was_taken_over_is_refused_and_its_command_is_ended(rack: Rack) -> None:
    begun = Begun()
    async with rack.driver().lease(a_job(lease=1)) as old:
        async with asyncio.TaskGroup() as group:
            running = group.create_task(old.dut.run(shell("echo x; sleep 1000"), timeout=LIMIT, out=begun))
            await begun.wait()
            async with rack.driver().lease(a_job(lease=2)) as young:
                assert (await running).code == 128 + 15
                with pytest.raises(LeaseLost):
                    await said_by(old.dut, shell("touch was-here"))
                assert await said_by(young.dut, shell("ls")) == (0, b"", b"")


async def test_a_code_that_the_wrapper_uses_too_is_the_commands_own(rack: Rack) -> None:
    async with rack.driver().lease(a_job()) as target:
        codes = [(await said_by(target.dut, shell(f"exit {code}")))[0] for code in (95, 96, 97, 255)]
    assert codes == [95, 96, 97, 255]


async def test_a_wrong_host_key_is_refused(rack: Rack, tmp_path: Path) -> None:
    known = Path(rack.config["known_hosts"]).read_text()
    where = known.split()[0]
    other = tmp_path / "other_known_hosts"
    other.write_text(f"{where} ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGPKSUTyz1HwHReFVvD5obVsALAgJRNarH4TRpNePnAS\n")
    with pytest.raises(InfraError, match="host key"):
        async with rack.driver(known_hosts=other).lease(a_job()):
            pass


async def test_an_unknown_host_key_is_refused(rack: Rack, tmp_path: Path) -> None:
    empty = tmp_path / "empty_known_hosts"
    empty.write_text("")
    with pytest.raises(InfraError, match="host key"):
        async with rack.driver(known_hosts=empty).lease(a_job()):
            pass


async def test_host_keys_may_stand_in_the_configuration(rack: Rack) -> None:
    line = Path(rack.config["known_hosts"]).read_text().strip()
    async with rack.driver(known_hosts=None, host_keys=(line,)).lease(a_job()) as target:
        assert await said_by(target.dut, Command(("echo", "ok"))) == (0, b"ok\n", b"")


async def test_a_jump_host_is_gone_through(rack: Rack) -> None:
    """Through itself. One that forwards nothing is a broken way to the host, not a reason to go straight."""
    lease = rack.driver(jump=rack.config["hosts"][0]).lease(a_job())
    if rack.forwards:
        async with lease as target:
            assert await said_by(target.dut, shell("echo through")) == (0, b"through\n", b"")
    else:
        with pytest.raises(InfraError):
            await lease.__aenter__()


async def test_files_go_there_and_come_back(rack: Rack, tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "tool").write_bytes(b"#!/bin/sh\necho ran\n")
    (folder / "deep" / "tool").chmod(0o755)
    (folder / "data").write_bytes(os.urandom(700_000))
    async with rack.driver().lease(a_job()) as target:
        await target.dut.put(folder, target.work / "b")
        await target.dut.put(folder / "data", target.work / "new" / "one")
        assert await said_by(target.dut, Command(("b/deep/tool",))) == (0, b"ran\n", b"")
        size = await target.dut.get(target.work / "new" / "one", tmp_path / "back", limit=10_000_000)
        short = await target.dut.get(target.work / "b" / "data", tmp_path / "short", limit=1000)
    assert (size, short) == (700_000, 1000)
    assert (tmp_path / "back").read_bytes() == (folder / "data").read_bytes()


@pytest.mark.parametrize("text", ["ln -s /etc/hostname x", "mkdir x", ":"], ids=["link", "folder", "missing"])
async def test_only_a_regular_file_is_taken_back(rack: Rack, tmp_path: Path, text: str) -> None:
    async with rack.driver().lease(a_job()) as target:
        await said_by(target.dut, shell(text))
        with pytest.raises(Refused):
            await target.dut.get(target.work / "x", tmp_path / "x", limit=100)
    assert not (tmp_path / "x").exists()


async def test_a_bad_tar_is_the_machines_fault(rack: Rack) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"this is no tar" * 100

    async with rack.driver().lease(a_job()) as target:
        with pytest.raises(InfraError, match="unpacking"):
            await target.dut.unpack(broken(), target.work / "tree")


async def test_a_work_folder_stays_for_the_same_run_and_goes_for_another(rack: Rack) -> None:
    async with rack.driver().lease(a_job(1, "run-1")) as target:
        await said_by(target.dut, shell("echo kept >mine"))
    async with rack.driver().lease(a_job(2, "run-1")) as target:
        assert (await said_by(target.dut, shell("cat mine")))[1] == b"kept\n"
    async with rack.driver().lease(a_job(3, "run-2")):
        assert os.listdir(rack.state / "runs") == ["run-2"]


async def test_commands_of_one_lease_run_side_by_side(rack: Rack) -> None:
    async with rack.driver().lease(a_job()) as target:
        await said_by(target.dut, shell("mkfifo pipe"))
        async with asyncio.TaskGroup() as group:
            reading = group.create_task(said_by(target.dut, shell("cat pipe")))
            group.create_task(said_by(target.dut, shell("echo met >pipe")))
    assert reading.result() == (0, b"met\n", b"")


async def test_a_reset_runs_after_the_lease_and_before_it_when_it_was_missed(rack: Rack, tmp_path: Path) -> None:
    resets = tmp_path / "resets"
    driver = rack.driver(reset=f"echo reset >>{resets}")
    async with driver.lease(a_job(1)):
        assert not resets.exists()
    assert resets.read_text() == "reset\n"
    with pytest.raises(InfraError):
        async with driver.lease(a_job(2)) as target:
            await lose(rack, target.dut)
    async with driver.lease(a_job(3)):
        assert resets.read_text() == "reset\n" * 2


async def test_a_reset_may_run_on_our_side(rack: Rack, tmp_path: Path) -> None:
    told = tmp_path / "told"
    async with rack.driver(reset=f'echo "$NETCI_HOST" >{told}', reset_on="here").lease(a_job()):
        pass
    assert told.read_text() == rack.config["hosts"][0] + "\n"


@pytest.mark.parametrize("where", ["host", "here"])
async def test_an_owner_that_was_taken_over_resets_nothing(rack: Rack, tmp_path: Path, where: str) -> None:
    resets = tmp_path / "resets"
    driver = rack.driver(reset=f"echo reset >>{resets}", reset_on=where)
    async with driver.lease(a_job(2)):
        pass
    before = resets.read_text()
    async with AsyncExitStack() as young:
        async with driver.lease(a_job(3)):
            await young.enter_async_context(rack.driver().lease(a_job(4)))
        assert resets.read_text() == before
        assert (rack.state / "dirty").exists()
    assert not (rack.state / "dirty").exists()


async def test_a_reset_that_fails_is_the_machines_fault(rack: Rack) -> None:
    driver = rack.driver(reset="exit 3")
    async with driver.lease(a_job(1)):
        pass
    with pytest.raises(InfraError, match="reset failed with 3"):
        async with driver.lease(a_job(2)):
            pass


async def test_a_host_that_is_not_there_is_the_machines_fault(rack: Rack) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        nobody = f"{getpass.getuser()}@127.0.0.1:{closed.getsockname()[1]}"
        with pytest.raises(InfraError, match="connecting"):
            async with rack.driver(hosts=(nobody,)).lease(a_job()):
                pass


class Begun(Capture):
    """Says when a command has said something, so that no test sleeps."""

    def __init__(self) -> None:
        super().__init__()
        self._event = asyncio.Event()

    def write(self, data: bytes, *, stderr: bool) -> None:
        super().write(data, stderr=stderr)
        self._event.set()

    async def wait(self) -> None:
        async with asyncio.timeout(20):
            await self._event.wait()


async def lose(rack: Rack, host: Host, first: str = "trap '' HUP PIPE;") -> None:
    """Run a command that stays, and cut the connection once it has done what comes first."""
    begun = Begun()

    async def cutting() -> None:
        await begun.wait()
        rack.cut()

    async with asyncio.TaskGroup() as group:
        group.create_task(cutting())
        running = group.create_task(_caught(host, f"{first} echo begun; sleep 1000; sleep 1000", begun))
    raise running.result()


async def _caught(host: Host, text: str, out: Capture) -> InfraError:
    with pytest.raises(InfraError) as caught:
        await host.run(shell(text), timeout=LIMIT, out=out)
    return caught.value


def _environments() -> Iterator[tuple[int, bytes]]:
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                yield int(folder.name), (folder / "environ").read_bytes()
            except OSError:
                continue
