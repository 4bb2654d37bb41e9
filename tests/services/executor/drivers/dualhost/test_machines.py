"""Two machines of QEMU with a link, driven from power to verdict: booted, kexec'd, tested, crashed, quarantined."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from services.executor.drivers.base import Capture, Job, LeaseLost, Target, shell
from services.executor.drivers.dualhost.config import DualHostConfig
from services.executor.drivers.dualhost.driver import DualHostDriver
from services.executor.drivers.here import Here
from services.executor.drivers.vm.guest_root import guest_root
from services.executor.kernels.base import Kernel
from services.executor.kernels.given import GivenKernel
from services.executor.machines.book import State
from services.executor.runner import Surroundings, carry_out
from shared.clock import wall
from shared.errors import InfraError
from shared.model.results import Cause, Result
from shared.practice.kernel import CACHE
from tests.services.executor.builders import GROUP, Claims, Kept, Shells, a_job, always, no_tree
from tests.support.kernel_package import kernel_package
from tests.support.machines import PACKAGES, Lab, lab

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
SHORT = timedelta(seconds=60)

# As the kernel's own tests of drivers are: they read net.config beside them, and reach the peer as it says.
SHAPED = """\
import socket, subprocess, sys, threading
from pathlib import Path

env = dict(line.split("=", 1) for line in Path(__file__).with_name("net.config").read_text().splitlines())
assert env["REMOTE_TYPE"] == "ssh", env
print("TAP version 13\\n1..3")

def remote(*words):
    return subprocess.run(["ssh", "-q", env["REMOTE_ARGS"], *words], capture_output=True, text=True, timeout=60)

def ok(number, name, true):
    print(f"{'ok' if true else 'not ok'} {number} {name}", flush=True)

ok(1, "shaped.remote_has_the_address", env["REMOTE_V4"] in remote("ip", "-br", "addr").stdout)
server = socket.create_server((env["LOCAL_V4"], 0))
to = env["LOCAL_V4"], server.getsockname()[1]
script = f"import socket; socket.create_connection({to!r}, 30).sendall(b'x' * 100000)"
calling = threading.Thread(target=remote, args=("python3", "-c", f'"{script}"'))
calling.start()
server.settimeout(40)
conn, who = server.accept()
got = 0
while data := conn.recv(65536):
    got += len(data)
ok(2, "shaped.tcp_over_the_link", got == 100000 and who[0] == env["REMOTE_V4"])
ping = subprocess.run(["ping", "-c", "2", "-I", env["NETIF"], env["REMOTE_V6"]], stdout=2)
ok(3, "shaped.ping6", ping.returncode == 0)
calling.join()
"""
TESTS = {
    "a_ping": "ping -c 2 -I eth1 192.0.2.2",
    "b_shaped": "cd install/drivers/net && python3 shaped.py",
    "c_panic": "echo before; sleep 0.2; echo c >/proc/sysrq-trigger; sleep 60",
    "d_shaped_again": "cd install/drivers/net && python3 shaped.py",
}


@pytest.fixture(scope="module")
def kernel() -> Kernel:
    package = GivenKernel(Path(kernel_package()), CACHE / "vm-tests" / "kernels")
    return asyncio.run(package.kernel(Job("tests", 0)))


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory, kernel: Kernel) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("lab")
    with lab(folder, asyncio.run(guest_root(CACHE, PACKAGES)), kernel) as made:
        yield made


@pytest.fixture(autouse=True)
async def told(two: Lab) -> AsyncIterator[None]:
    yield
    for one in two.machines:
        print(f"{one.name}: {one.console[-600:]}")


def a_driver(two: Lab, folder: Path, **changes: Any) -> DualHostDriver:
    return DualHostDriver(DualHostConfig.model_validate(two.driver(**changes)), Here(folder))


async def said(target: Target, text: str) -> str:
    out = Capture()
    await target.dut.run(shell(text), timeout=SHORT, out=out)
    return (out.stdout + out.stderr).decode().strip()


async def test_from_power_to_verdicts_with_a_crash_on_the_way(two: Lab, tmp_path: Path, kernel: Kernel) -> None:
    driver = a_driver(two, tmp_path, kernel=kernel.image)
    build = f"mkdir -p install/drivers/net && cat >install/drivers/net/shaped.py <<'END'\n{SHAPED}END"
    sink, claims = Kept(), Claims()
    suite = Shells(TESTS, build=build, limit=SHORT)
    around = Surroundings(claims, no_tree, always, wall, patience=0.05)
    outcome = await carry_out(a_job(retries=0), driver, suite, sink, around)
    assert sink.results == {
        ("a_ping", 0): Result.PASS, ("b_shaped", 0): Result.PASS, ("c_panic", 0): Result.FAIL,
        ("d_shaped_again", 0): Result.PASS,
    }, sink.files  # fmt: skip
    subtests = [case.subtest for case in sink.cases if case.test == "b_shaped" and case.subtest]
    assert len(subtests) == 3
    panic = next(case for case in sink.cases if case.test == "c_panic")
    assert panic.cause is Cause.CRASH
    assert "sysrq" in panic.crashes[0].lower()
    assert b"Kernel panic" in sink.files[f"{GROUP}/c_panic/0/console"]
    # The machine was leased anew after the crash, both machines each time, and never called broken.
    assert claims.number == 4
    assert set(sink.hosts.values()) == {"idle"}
    facts = outcome.facts["pair"]
    assert facts["hostname"] == "dut"
    assert facts["nic_driver"] == "virtio_net"
    assert facts["kernel_image"] == str(kernel.image)
    assert facts["peer"] == "peer"
    # After the lease: its own kernel, nothing of ours on either machine, and a good word in the book.
    async with a_driver(two, tmp_path).lease(Job("look", 90, "pair")) as target:
        assert "netci_key" in await said(target, "ls ~/.ssh")
        assert await said(target, "ls -d /lib/modules/*/kernel/fs | wc -l") == "1"
    for name in ("dut", "peer"):
        assert (await driver._book.standing(name)).state is State.HEALTHY
    assert two.machines[0].console.count("machine: dut is up") >= 4


async def test_a_stale_owner_can_do_nothing(two: Lab, tmp_path: Path) -> None:
    old, young = a_driver(two, tmp_path), a_driver(two, tmp_path)
    async with young.lease(Job("young", 102, "pair")) as target:
        boot = await said(target, "cat /proc/sys/kernel/random/boot_id")
        with pytest.raises(LeaseLost, match="101 is older than 102"):
            async with old.lease(Job("old", 101, "pair")):
                raise AssertionError("it has the machines")
    async with old.lease(Job("old", 103, "pair")) as stale:
        entered = young.lease(Job("young", 104, "pair"))
        # Nobody has told the old one; what it left is undone, and with that its connections are.
        target = await entered.__aenter__()
        boots = [await said(target, "cat /proc/sys/kernel/random/boot_id")]
        for host in (stale.dut, stale.peer):
            assert host is not None
            with pytest.raises((LeaseLost, InfraError)):
                await host.run(shell("touch /tmp/stale"), timeout=SHORT)
    boots.append(await said(target, "cat /proc/sys/kernel/random/boot_id"))
    assert boots[0] == boots[1] != boot
    assert "No such file" in await said(target, "ls /tmp/stale")
    await entered.__aexit__(None, None, None)
    # It has let go without undoing what is no longer its own, and can do nothing to one that does not answer either.
    await two.machines[0].power.off()
    with pytest.raises(LeaseLost, match="dut: lease 101 is older than 104"):
        async with old.lease(Job("old", 101, "pair")):
            raise AssertionError("it has the machines")
    assert str(await two.machines[0].power.state()) == "off"
    assert (await young._book.standing("dut")).state is State.HEALTHY


async def test_a_machine_that_fails_again_and_again_is_quarantined(two: Lab, tmp_path: Path) -> None:
    machines = two.driver()["machines"]
    machines["peer"] = machines["peer"] | {"health": "echo the fan stands still; exit 1"}
    driver = a_driver(two, tmp_path, machines=machines, quarantine_after=2)
    states = []
    for number in range(3):
        with pytest.raises(InfraError, match="the fan stands still"):
            async with driver.lease(Job("run", 200 + number, "pair")):
                raise AssertionError("it is leased")
        states.append((await driver._book.standing("peer")).state)
    assert states == [State.SUSPECT, State.QUARANTINED, State.QUARANTINED]
    assert (await driver._book.standing("dut")).state is State.HEALTHY
    with pytest.raises(InfraError, match="peer is in quarantine: peer: its health check fails"):
        await driver.reach("pair")


async def test_the_peer_may_be_a_namespace_of_the_same_machine(two: Lab, tmp_path: Path) -> None:
    machines = two.driver()["machines"]
    made = "ip link show v0 >/dev/null 2>&1 || ip link add v0 type veth peer name v1"
    machines["dut"] = machines["dut"] | {"health": made}
    addresses = {"local_v4": "198.51.100.1/24", "remote_v4": "198.51.100.2/24"}
    link = {"dut": "dut", "netif": "v0", "peer_netif": "v1", "disruptive": False, **addresses}
    changes = {"machines": machines, "links": {"alone": link}, "net_config": ["/tmp/drivers"], "build_on": "dut"}
    driver = a_driver(two, tmp_path, **changes)
    assert driver.machines("alone") == ("dut",)
    async with driver.lease(Job("run", 300, "alone")) as target:
        assert target.peer is None
        assert target.builder is None
        assert target.env == {"DISRUPTIVE": "False"}
        await said(target, "mkdir /tmp/drivers")
        assert target.deploy is not None
        await target.deploy()
        assert await said(target, "cat /tmp/drivers/net.config") == (
            "NETIF=v0\nLOCAL_V4=198.51.100.1\nREMOTE_V4=198.51.100.2\nREMOTE_TYPE=netns\nREMOTE_ARGS=netci-peer"
        )
        assert "1 received" in await said(target, "ip netns exec netci-peer ping -c 1 198.51.100.1")
    async with driver.lease(Job("run", 301, "alone")) as target:
        # The namespace went with the lease, and came anew with this one.
        assert await said(target, "ip netns list | wc -l") == "1"


async def test_a_machine_that_is_silent_is_switched_off_and_on(two: Lab, tmp_path: Path) -> None:
    driver = a_driver(two, tmp_path)
    async with driver.lease(Job("run", 400, "pair")) as target:
        boot = await said(target, "cat /proc/sys/kernel/random/boot_id")
        # Out of the wrapper's sight, or it would be ended with its command.
        freeze = "env -i setsid sh -c 'sleep 1; pkill -STOP sshd' >/dev/null 2>&1 & sleep 0.5"
        await target.dut.run(shell(freeze), timeout=SHORT)
        await asyncio.sleep(2)
    async with driver.lease(Job("run", 401, "pair")) as target:
        assert await said(target, "cat /proc/sys/kernel/random/boot_id") != boot
