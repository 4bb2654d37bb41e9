"""A BMC that speaks IPMI: OpenIPMI's own simulator, with a machine that is a file and a console that is a terminal."""

import asyncio
import os
import shutil
import signal
import socket
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from services.executor.power.ipmi import IpmiConfig

CHASSIS = """\
#!/bin/sh
# Asked by the simulator: get power, or set power 0 or 1.
shift
verb=$1
shift
case $verb in
get) for what; do [ "$what" = power ] && echo "power:$(cat {folder}/power)"; done ;;
set) while [ $# -gt 1 ]; do [ "$1" = power ] && echo "$2" >{folder}/power; shift 2; done ;;
esac
exit 0
"""
LAN = """\
name "bmc"
set_working_mc 0x20
  startlan 1
    addr 127.0.0.1 {port}
    priv_limit admin
    allowed_auths_admin none md2 md5 straight
    guid a123456789abcdefa123456789abcdef
  endlan
  chassis_control "{folder}/chassis 0x20"
  sol "{terminal}" 115200
  startnow false
  user 2 true "ci" "of-the-bmc" admin 10 none md2 md5 straight
"""
MACHINE = """\
mc_setbmc 0x20
mc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02 persist_sdr
sel_enable 0x20 1000 0x0a
mc_enable 0x20
"""


@dataclass(frozen=True)
class Simulated:
    """`terminal` is the machine's end of its serial console."""

    config: IpmiConfig
    folder: Path
    terminal: int

    @property
    def on(self) -> bool:
        return (self.folder / "power").read_text().strip() == "1"


@asynccontextmanager
async def simulated(folder: Path) -> AsyncIterator[Simulated]:
    for program, package in (("ipmi_sim", "openipmi"), ("ipmitool", "ipmitool")):
        assert shutil.which(program), f"{program} is needed: apt-get install {package}"
    machine, its = os.openpty()
    port = _free_port()
    (folder / "power").write_text("1\n")
    (folder / "password").write_text("of-the-bmc\n")
    (folder / "chassis").write_text(CHASSIS.format(folder=folder))
    (folder / "chassis").chmod(stat.S_IRWXU)
    (folder / "lan.conf").write_text(LAN.format(folder=folder, port=port, terminal=os.ttyname(its)))
    (folder / "machine").write_text(MACHINE)
    words = (
        "ipmi_sim",
        "-n",
        "-c",
        str(folder / "lan.conf"),
        "-f",
        str(folder / "machine"),
        "-s",
        str(folder / "state"),
    )
    process = await asyncio.create_subprocess_exec(
        *words, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        # Without the cipher, ipmitool asks the simulator for what it has not, and waits ten seconds each time.
        secret = folder / "password"
        config = IpmiConfig(kind="ipmi", host="127.0.0.1", port=port, user="ci", password_file=secret, cipher=3)
        yield Simulated(config, folder, machine)
    finally:
        process.send_signal(signal.SIGKILL)
        await process.wait()
        os.close(machine)
        os.close(its)


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
