"""Every way to a machine's power, against what it is made for: a simulated BMC, a Redfish server, programs, QEMU."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pydantic import TypeAdapter, ValidationError

from services.executor.power import base, ipmi, redfish
from services.executor.power.base import Line, Power, State
from services.executor.power.command import CommandConfig
from services.executor.power.none import NoneConfig
from services.executor.power.qemu import QemuConfig, QemuPower
from services.executor.power.rack import PowerConfig, power_for
from services.executor.power.redfish import RedfishConfig
from shared.errors import InfraError, Refused
from shared.practice.redfish import PASSWORD, USER, Bmc, served_bmc
from tests.services.executor.power.bmc import Simulated, simulated

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Machines that need no rest."""
    for module in (base, ipmi, redfish):
        for name in ("OFF_FOR", "_REST", "_LOOK"):
            if hasattr(module, name):
                monkeypatch.setattr(module, name, 0.05)


async def goes_off_and_on(power: Power) -> None:
    """What every one of them must do, on a machine that is on."""
    assert await power.state() is State.ON
    await power.off()
    assert await power.state() is State.OFF
    await power.cycle()
    assert await power.state() is State.ON
    await power.cycle()
    assert await power.state() is State.ON
    await power.on()
    assert await power.state() is State.ON


async def heard(line: Line, what: bytes) -> bytes:
    said = b""
    async with asyncio.timeout(20):
        while what not in said:
            piece = await line.reader.read(4096)
            assert piece, f"the console ended: {said!r}"
            said += piece
    return said


# IPMI


@pytest.fixture
async def bmc(tmp_path: Path) -> AsyncIterator[Simulated]:
    async with simulated(tmp_path) as made:
        yield made


async def test_ipmi(bmc: Simulated) -> None:
    await goes_off_and_on(power_for(bmc.config, "dut"))
    assert bmc.on
    # One that is off already is switched off without a word.
    await power_for(bmc.config, "dut").off()
    await power_for(bmc.config, "dut").off()
    assert not bmc.on


async def test_ipmi_console_is_heard_and_typed_at(bmc: Simulated) -> None:
    power = power_for(bmc.config, "dut")
    async with power.console() as line:
        await heard(line, b"SOL Session operational")
        os.write(bmc.terminal, b"[    0.000000] Linux version 6.1\r\n")
        assert b"Linux version" in await heard(line, b"6.1")
        await line.type(b"root\r")
        assert b"root" in await asyncio.to_thread(os.read, bmc.terminal, 100)
    # The next one finds it free.
    async with power.console() as line:
        await heard(line, b"SOL Session operational")


async def test_ipmi_that_does_not_let_us_in_or_does_not_answer_says_so(bmc: Simulated, tmp_path: Path) -> None:
    (tmp_path / "wrong").write_text("wrong\n")
    power = power_for(bmc.config.model_copy(update={"password_file": tmp_path / "wrong"}), "dut")
    with pytest.raises(InfraError, match=r"dut: power status: ipmitool: .*(session|password|HMAC)"):
        await power.state()


def test_no_password_is_on_a_command_line(tmp_path: Path) -> None:
    config = ipmi.IpmiConfig(kind="ipmi", host="bmc", user="ci", password_file=tmp_path / "password")
    assert "-f" in ipmi.IpmiPower(config, "dut")._words("chassis")
    with pytest.raises(ValidationError):
        ipmi.IpmiConfig(kind="ipmi", host="-o")


# Redfish


def a_redfish(bmc: Bmc, folder: Path, password: str = PASSWORD, **more: object) -> Power:
    file = folder / "password"
    file.touch(mode=0o600)
    file.write_text(password + "\n")
    config = {"kind": "redfish", "url": bmc.url, "user": USER, "password_file": file, **more}
    return power_for(RedfishConfig.model_validate(config), "dut")


async def test_redfish(tmp_path: Path) -> None:
    async with served_bmc(Bmc(slow=0.1)) as bmc:
        await goes_off_and_on(a_redfish(bmc, tmp_path))
        # What is so already is not asked for.
        assert bmc.resets == ["ForceOff", "On", "ForceOff", "On"]


async def test_redfish_that_is_busy_is_asked_again(tmp_path: Path) -> None:
    async with served_bmc(Bmc(broken=2)) as bmc:
        assert await a_redfish(bmc, tmp_path).state() is State.ON
        bmc.broken = 3
        with pytest.raises(InfraError, match=r"dut: its BMC answers GET /redfish/v1/Systems with 503"):
            await a_redfish(bmc, tmp_path).state()


async def test_redfish_says_what_the_bmc_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with served_bmc(Bmc({"1": True, "2": False})) as bmc:
        with pytest.raises(InfraError, match=r"401 A general error. There is no valid session"):
            await a_redfish(bmc, tmp_path, "wrong").state()
        with pytest.raises(InfraError, match="has 2 systems; say which"):
            await a_redfish(bmc, tmp_path).state()
        assert await a_redfish(bmc, tmp_path, system="/redfish/v1/Systems/2").state() is State.OFF
        with pytest.raises(InfraError, match=r"404 .* The resource 3 was not found"):
            await a_redfish(bmc, tmp_path, system="/redfish/v1/Systems/3").state()
    monkeypatch.setattr(redfish, "_LIMIT", 0.3)
    async with served_bmc(Bmc(deaf=True)) as bmc:
        with pytest.raises(InfraError, match="does not come to say that it is off"):
            await a_redfish(bmc, tmp_path).off()
    with pytest.raises(InfraError, match="dut: redfish cannot be reached"):
        await a_redfish(bmc, tmp_path).state()
    (tmp_path / "password").chmod(0o644)
    with pytest.raises(Refused, match="can be read by others"):
        await power_for(
            RedfishConfig(kind="redfish", url=bmc.url, user="ci", password_file=tmp_path / "password"), "dut"
        ).state()


# Programs


def a_command(folder: Path, **more: object) -> Power:
    at = str(folder / "power")
    (folder / "power").write_text("on")
    words = {
        "on": ["sh", "-c", 'printf on >"$1"', "sh", at], "off": ["sh", "-c", 'printf off >"$1"', "sh", at],
        "status": ["cat", at],
    }  # fmt: skip
    return power_for(CommandConfig.model_validate({"kind": "command", **words, **more}), "dut")


async def test_programs(tmp_path: Path) -> None:
    await goes_off_and_on(a_command(tmp_path))


async def test_a_program_that_fails_hangs_or_is_not_there_is_told(tmp_path: Path) -> None:
    failing = a_command(tmp_path, on=["sh", "-c", "echo outlet 3 is stuck >&2; exit 4"])
    with pytest.raises(InfraError, match="dut: switching on: sh: outlet 3 is stuck"):
        await failing.on()
    with pytest.raises(InfraError, match="sleep gave no answer in 1 s"):
        await a_command(tmp_path, off=["sleep", "60"], limit="1s").off()
    with pytest.raises(InfraError, match="netci-no-such-program cannot be run"):
        await a_command(tmp_path, status=["netci-no-such-program"]).state()
    assert await a_command(tmp_path, status=["echo", "perhaps"]).state() is State.UNKNOWN
    assert await a_command(tmp_path, status=[]).state() is State.UNKNOWN


async def test_a_programs_console_has_a_terminal(tmp_path: Path) -> None:
    script = 'test -t 0 && echo has a terminal; while read -r line; do echo "heard $line"; done'
    power = a_command(tmp_path, console=["sh", "-c", script], sysrq_prefix="~B")
    async with power.console() as line:
        await heard(line, b"has a terminal")
        await line.type(b"a line\n")
        await heard(line, b"heard a line")
        await line.sysrq("c")
        await line.type(b"\n")
        await heard(line, b"heard ~Bc")
    with pytest.raises(InfraError, match="has no console"):
        a_command(tmp_path).console()
    async with a_command(tmp_path, console=["cat"]).console() as line:
        with pytest.raises(InfraError, match="cannot send a break"):
            await line.sysrq("c")


# QEMU


async def test_qemu(tmp_path: Path) -> None:
    """A machine without a disk: its firmware says so on its console."""
    words = ("qemu-system-x86_64", "-machine", "q35", "-m", "64M", "-nodefaults", "-no-user-config")
    config = QemuConfig(kind="qemu", words=words, folder=tmp_path / "m")
    power = power_for(config, "dut")
    try:
        await power.on()
        await goes_off_and_on(power)
        async with power.console() as line:
            await line.sysrq("h")
        # Another process, or this one after a restart, knows it again.
        assert await QemuPower(config, "dut").state() is State.ON
    finally:
        await power.off()
    assert await power.state() is State.OFF
    (tmp_path / "m" / "pid").write_text(f"{os.getpid()}\n")
    assert await power.state() is State.OFF
    with pytest.raises(InfraError, match="nobody listens there"):
        async with power.console():
            raise AssertionError("there is nobody")
    broken = power_for(QemuConfig(kind="qemu", words=(*words, "-no-such-word"), folder=tmp_path / "b"), "dut")
    with pytest.raises(InfraError, match=r"dut: switching on: .*no-such-word"):
        await broken.on()


# None


async def test_none_says_where_to_go() -> None:
    power = power_for(NoneConfig(), "dut")
    assert await power.state() is State.UNKNOWN
    for act in (power.on, power.off, power.cycle):
        with pytest.raises(InfraError, match="dut: nothing has power over it"):
            await act()
    with pytest.raises(InfraError, match="nothing has power over it"):
        power.console()


def test_the_rack_knows_its_kinds() -> None:
    adapter: TypeAdapter[PowerConfig] = TypeAdapter(PowerConfig)
    assert adapter.validate_python({"kind": "none"}) == NoneConfig()
    with pytest.raises(ValidationError, match="'command', 'ipmi', 'none', 'qemu', 'redfish'"):
        adapter.validate_python({"kind": "steam"})
