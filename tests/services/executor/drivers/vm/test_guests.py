"""Guests of QEMU, with Debian's kernel and a root of this machine's packages: booted, used, crashed, replaced."""

import asyncio
import os
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from services.executor.drivers.base import Capture, Job, Target, shell
from services.executor.drivers.here import Here
from services.executor.drivers.vm.config import VmConfig
from services.executor.drivers.vm.driver import VmDriver
from services.executor.drivers.vm.guest_root import guest_root
from services.executor.runner import Surroundings, carry_out
from shared.clock import wall
from shared.errors import InfraError
from shared.model.results import Cause, Result
from shared.practice.kernel import CACHE
from tests.services.executor.builders import GROUP, Claims, Kept, Shells, a_job, always, no_tree
from tests.support.kernel_package import kernel_package

pytestmark = pytest.mark.slow
SHORT = timedelta(seconds=60)
HUNG = timedelta(seconds=8)


@pytest.fixture(scope="module")
def place() -> Path:
    """A folder that keeps what is made of a package from one boot to the next."""
    folder = CACHE / "vm-tests"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


async def a_driver(folder: Path, **changes: object) -> VmDriver:
    root = await guest_root(CACHE)
    config = {"kind": "vm", "kernel": kernel_package(), "root": root, "pool": f"test{os.getpid()}", "load": 100}
    return VmDriver(VmConfig.model_validate(config | changes), Here(folder))


async def said(target: Target, text: str) -> str:
    out = Capture()
    await target.dut.run(shell(text), timeout=SHORT, out=out)
    return (out.stdout + out.stderr).decode()


@pytest.fixture
async def driver(place: Path) -> AsyncIterator[VmDriver]:
    made = await a_driver(place)
    yield made
    assert not guests_of(made)


def guests_of(driver: VmDriver) -> list[str]:
    """Command lines of QEMU that see a folder of this driver."""
    found = []
    for path in Path("/proc").glob("[0-9]*/mountinfo"):
        try:
            mounts, line = path.read_text("utf-8"), (path.parent / "cmdline").read_bytes()
        except OSError:
            continue
        if str(driver._state / "guests") in mounts and b"qemu" in line:
            found.append(line.replace(b"\0", b" ").decode(errors="replace"))
    return found


async def test_a_guest_is_new_shut_in_and_gone_afterwards(driver: VmDriver, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("the token of this machine")
    listening = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    async with listening, driver.lease(Job("run-1", 1)) as target:
        assert guests_of(driver), "one that is there would be seen"
        assert target.facts["kernel_package"].startswith("linux-image-")
        assert (await said(target, "id -u")).strip() == "0"
        # Nothing of this machine: no file, no interface but its own loopback, no port.
        assert "No such file" in await said(target, f"cat {secret}")
        assert set((await said(target, "ls /sys/class/net")).split()) == {"lo"}
        tried = await said(target, f"python3 -c 'import socket; socket.create_connection((\"127.0.0.1\", {port}), 3)'")
        assert "refused" in tried
        assert "Read-only file system" in await said(target, "echo x >/usr/bin/new")
        # What is prepared here is seen there, and what is written there stays there.
        assert target.builder is not None
        await target.builder.run(shell("echo made >made && id -u >who"), timeout=SHORT)
        assert await said(target, "cat made && echo more >made && cat made") == "made\nmore\n"
        kept = Capture()
        await target.builder.run(shell("cat made who"), timeout=SHORT, out=kept)
        assert kept.stdout.startswith(b"made\n")
        assert kept.stdout != b"made\n0\n"
        # Tests wear it out; what they end themselves does not.
        assert await driver.sound(target) == ""
        assert await said(target, "modprobe dummy && ip link add left type dummy") == ""
        assert "interfaces were left: left" in await driver.sound(target)
        # Out of the wrapper's sight, or it would be ended with its command.
        await said(target, "env -i setsid sleep 500 >/dev/null 2>&1 & sleep 0.5")
        assert "processes were left: sleep" in await driver.sound(target)
        assert target.console is not None
        assert b"Linux version" in await target.console.take()
    prepared = driver._prepared
    assert [path for path in prepared.folders.new().parent.iterdir() if path.is_dir()] == [prepared.all]


async def test_a_run_goes_on_after_a_panic_and_a_hang_which_are_their_tests(driver: VmDriver) -> None:
    tests = {
        "a_fine": "echo ok 1 first; echo '# '$(cat /proc/sys/kernel/random/boot_id)",
        "b_panic": "echo before; sleep 0.2; echo c >/proc/sysrq-trigger; sleep 60",
        "c_wears": "ip link add left type bridge 2>/dev/null || ip netns add left; echo ok 1 wears",
        "d_hang": "pkill -STOP sshd; sleep 60",
        "e_fine": "test ! -e /sys/class/net/left && test ! -e /run/netns/left",
    }
    sink = Kept()
    around = Surroundings(Claims(), no_tree, always, wall, patience=0.05)
    suite = Shells(tests, build="id -u >built", limit=HUNG)
    outcome = await carry_out(a_job(retries=0), driver, suite, sink, around)
    assert (outcome.tests, outcome.built) == (5, True)
    assert sink.results == {
        ("a_fine", 0): Result.PASS, ("b_panic", 0): Result.FAIL, ("c_wears", 0): Result.PASS,
        ("d_hang", 0): Result.FAIL, ("e_fine", 0): Result.PASS,
    }  # fmt: skip
    panic, hang = (next(case for case in sink.cases if case.test == name) for name in ("b_panic", "d_hang"))
    assert panic.cause is Cause.CRASH
    assert "sysrq" in panic.crashes[0].lower()
    assert sink.files[f"{GROUP}/b_panic/0/stdout"] == b"before\n"
    assert b"Kernel panic" in sink.files[f"{GROUP}/b_panic/0/console"]
    assert hang.cause is Cause.CRASH
    assert hang.crashes == ("the machine stopped answering",)
    # The machine was replaced each time, and was never the one to blame.
    assert set(sink.hosts.values()) == {"idle"}


async def test_a_guest_that_does_not_boot_says_why(place: Path) -> None:
    driver = await a_driver(place, append="rdinit=/nothing init=/nothing")
    with pytest.raises(InfraError, match=r"(?s)the guest ended.*its console ends:.*panic"):
        async with driver.lease(Job("run-1", 1)):
            raise AssertionError("it answers")
    driver = await a_driver(place, program="qemu-system-none")
    with pytest.raises(InfraError, match="qemu-system-none"):
        async with driver.lease(Job("run-1", 1)):
            raise AssertionError("it answers")
