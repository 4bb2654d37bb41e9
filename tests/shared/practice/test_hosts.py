"""The practice hosts go wrong in the ways they promise, as a driver sees it."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from services.executor.drivers.base import Capture, Command, Driver, Job, Target, shell
from services.executor.drivers.ssh import SshDriver
from services.executor.drivers.ssh_config import SshConfig
from shared.errors import InfraError
from shared.practice.hosts import Fleet, PracticeHost, served_hosts

LIMIT = timedelta(seconds=20)


@pytest.fixture
async def fleet() -> AsyncIterator[Fleet]:
    async with served_hosts(2) as served:
        yield served


def a_driver(fleet: Fleet, **changes: Any) -> Driver:
    keys = {"key_file": fleet.key_file, "known_hosts": fleet.known_hosts}
    return SshDriver(SshConfig.model_validate({"hosts": fleet.addresses, **keys, **changes}))


def a_job(fleet: Fleet, number: int = 0, lease: int = 1) -> Job:
    return Job("run-1", lease, fleet.addresses[number])


async def greet(target: Target) -> bytes:
    said = Capture()
    await target.dut.run(Command(("echo", "hello")), timeout=LIMIT, out=said)
    return said.stdout


async def in_trouble(driver: Driver, fleet: Fleet) -> None:
    with pytest.raises(InfraError):
        async with driver.lease(a_job(fleet)) as target:
            await greet(target)


async def test_hosts_are_apart(fleet: Fleet) -> None:
    driver = a_driver(fleet)
    async with driver.lease(a_job(fleet, 0)) as one, driver.lease(a_job(fleet, 1)) as two:
        assert await greet(one) == await greet(two) == b"hello\n"
    assert one.work != two.work
    assert fleet.hosts[0].root in map(type(fleet.hosts[0].root), one.work.parents)
    assert fleet.hosts[0].known_hosts_line.split()[2] != fleet.hosts[1].known_hosts_line.split()[2]


async def test_a_host_that_refuses_can_be_reached_again(fleet: Fleet) -> None:
    await fleet.hosts[0].refuse()
    await in_trouble(a_driver(fleet), fleet)
    await fleet.hosts[0].accept()
    async with a_driver(fleet).lease(a_job(fleet)) as target:
        assert await greet(target) == b"hello\n"


async def test_another_key_at_the_old_address_is_not_believed(fleet: Fleet) -> None:
    await fleet.hosts[0].wrong_key()
    with pytest.raises(InfraError, match="host key"):
        async with a_driver(fleet).lease(a_job(fleet)):
            pass
    assert fleet.hosts[0].commands == 0
    await fleet.hosts[0].right_key()
    async with a_driver(fleet).lease(a_job(fleet)) as target:
        assert await greet(target) == b"hello\n"


async def test_the_connection_breaks_at_the_nth_command(fleet: Fleet) -> None:
    async with a_driver(fleet).lease(a_job(fleet)) as target:
        fleet.hosts[0].cut_after(commands=1)
        assert await greet(target) == b"hello\n"
        with pytest.raises(InfraError):
            await greet(target)
    async with a_driver(fleet).lease(a_job(fleet)) as target:
        assert await greet(target) == b"hello\n"


async def test_the_connection_breaks_in_the_middle_of_the_output(fleet: Fleet) -> None:
    said = Capture()
    async with a_driver(fleet).lease(a_job(fleet)) as target:
        fleet.hosts[0].cut_after(bytes=100_000)
        with pytest.raises(InfraError):
            await target.dut.run(shell("head -c 10000000 /dev/zero"), timeout=LIMIT, out=said)
    assert len(said.stdout) <= 100_000


async def test_a_hung_host_is_noticed_by_the_keep_alive(fleet: Fleet) -> None:
    host = fleet.hosts[0]
    said = Stalling(host)
    impatient = a_driver(fleet, keepalive_interval="500ms", keepalive_count=3, connect_timeout="3s")
    with pytest.raises(InfraError):
        async with impatient.lease(a_job(fleet)) as target:
            await target.dut.run(shell("echo x; sleep 1000"), timeout=timedelta(hours=1), out=said)
    await in_trouble(impatient, fleet)
    host.unstall()
    async with a_driver(fleet).lease(a_job(fleet, lease=2)) as target:
        assert await greet(target) == b"hello\n"
        # What was asked of it while it hung is begun when it goes on, by a connection that is gone by then.
        async with asyncio.timeout(30):
            while host.processes():
                await asyncio.sleep(0.05)


async def test_a_dead_host_keeps_no_process_and_comes_back_with_its_files(fleet: Fleet) -> None:
    host = fleet.hosts[0]

    async def pull_the_plug() -> None:
        await said.begun.wait()
        await host.die()

    said = Begun()
    async with asyncio.TaskGroup() as group:
        group.create_task(pull_the_plug())
        with pytest.raises(InfraError):
            async with a_driver(fleet).lease(a_job(fleet)) as target:
                await target.dut.run(shell("echo kept >file; echo x; sleep 1000"), timeout=LIMIT, out=said)
    assert host.processes() == []
    await host.revive()
    async with a_driver(fleet).lease(a_job(fleet, lease=2)) as target:
        assert (await target.dut.run(shell("grep -q kept file"), timeout=LIMIT)).ok


async def test_closing_ends_processes_that_fled_their_session() -> None:
    async with served_hosts(1) as fleet:
        host = fleet.hosts[0]
        with pytest.raises(InfraError):
            async with a_driver(fleet).lease(a_job(fleet)) as target:
                await target.dut.run(shell("echo x; setsid sleep 1000"), timeout=LIMIT, out=Cutting(host))
        assert host.processes() != []
    assert host.processes() == []


class Begun(Capture):
    """Says when a command has said something."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = asyncio.Event()

    def write(self, data: bytes, *, stderr: bool) -> None:
        super().write(data, stderr=stderr)
        self.begun.set()


class Stalling(Capture):
    """Makes the host hang as soon as the command has begun."""

    def __init__(self, host: PracticeHost) -> None:
        super().__init__()
        self._host = host

    def write(self, data: bytes, *, stderr: bool) -> None:
        self._host.stall()


class Cutting(Stalling):
    """Breaks the connection as soon as the command has begun."""

    def write(self, data: bytes, *, stderr: bool) -> None:
        self._host.cut()
