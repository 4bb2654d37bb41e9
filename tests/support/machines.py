"""Machines with a plug, to practise on: QEMU with a serial console, an sshd on loopback, and a link to one another.

Each boots a kernel over a read-only root of this machine's packages, in about ten seconds without KVM. Their links are
datagrams on loopback, so either end may be switched off and on. They outlive who started them, as machines do: they are
switched off by their power.
"""

import asyncio
import platform
import shutil
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.executor.drivers.vm.initrd import initrd
from services.executor.kernels.base import Kernel
from services.executor.power.qemu import QemuConfig, QemuPower

INIT = Path(__file__).with_name("machine_init.sh")
PACKAGES = ("kexec-tools", "openssh-client", "ethtool", "python3")
"""What their root has besides a guest's."""


@dataclass(frozen=True)
class Practised:
    """A machine; `config` is its table in a driver's ``machines``."""

    name: str
    folder: Path
    port: int
    config: Mapping[str, Any]

    @property
    def power(self) -> QemuPower:
        return QemuPower(QemuConfig.model_validate(self.config["power"]), self.name)

    @property
    def console(self) -> str:
        """All that it ever said."""
        log = self.folder / "console.log"
        return log.read_text(errors="replace") if log.exists() else ""

    @property
    def pid(self) -> int:
        return int((self.folder / "pid").read_text())


@dataclass(frozen=True)
class Lab:
    """Two machines with a link, eth1 of both; and what a client needs to reach them."""

    machines: tuple[Practised, Practised]
    key_file: Path
    known_hosts: Path

    def driver(self, **changes: Any) -> dict[str, Any]:
        """The table of a driver."""
        link = {
            "dut": "dut", "peer": "peer", "netif": "eth1", "peer_netif": "eth1", "remote": "root@192.0.2.2",
            "local_v4": "192.0.2.1/24", "remote_v4": "192.0.2.2/24", "local_v6": "2001:db8::1/64",
            "remote_v6": "2001:db8::2/64",
        }  # fmt: skip
        return {
            "kind": "dualhost", "key_file": self.key_file, "known_hosts": self.known_hosts, "links": {"pair": link},
            "machines": {machine.name: dict(machine.config) for machine in self.machines}, "connect_timeout": "20s",
            "keepalive_interval": "5s", "keepalive_count": 6, **changes,
        }  # fmt: skip


@contextmanager
def lab(folder: Path, root: Path, kernel: Kernel) -> Iterator[Lab]:
    """Two machines, switched off; whatever they are at the end, they are off. Sockets want a short `folder`."""
    for name in ("id", "dut.key", "peer.key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", folder / name], check=True)
    ends = _free_ports(socket.SOCK_DGRAM, 2)
    doors = _free_ports(socket.SOCK_STREAM, 2)
    (folder / "initrd").write_bytes(_initrd(kernel))
    machines = (
        _machine(folder, "dut", doors[0], (ends[0], ends[1]), root, kernel),
        _machine(folder, "peer", doors[1], (ends[1], ends[0]), root, kernel),
    )
    known = "".join(f"[127.0.0.1]:{one.port} {(folder / f'{one.name}.key.pub').read_text()}" for one in machines)
    (folder / "known_hosts").write_text(known)
    try:
        yield Lab(machines, folder / "id", folder / "known_hosts")
    finally:
        for one in machines:
            asyncio.run(one.power.off())


def _machine(folder: Path, name: str, port: int, ends: tuple[int, int], root: Path, kernel: Kernel) -> Practised:
    seed, own = folder / f"{name}.seed", folder / name
    seed.mkdir()
    own.mkdir()
    shutil.copy(INIT, seed / "init")
    shutil.copy(folder / f"{name}.key", seed / "host_key")
    shutil.copy(folder / "id.pub", seed / "authorized")
    shutil.copy(folder / "initrd", seed / "initrd")
    (seed / "name").write_text(f"{name}\n")
    shares = {"netci-root": root, "netci-seed": seed} | ({"netci-modules": kernel.modules} if kernel.modules else {})
    words = ["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-name", name, "-machine", "q35"]
    words += ["-accel", "tcg,tb-size=256", "-cpu", "max", "-m", "768M", "-kernel", str(kernel.image)]
    words += ["-initrd", str(folder / "initrd"), "-append", "console=ttyS0 panic=-1 oops=panic sysrq_always_enabled=1"]
    for tag, path in shares.items():
        shared = f"local,path={path},mount_tag={tag},security_model=none,readonly=on,multidevs=remap"
        words += ["-virtfs", shared]
    words += ["-netdev", f"user,id=door,hostfwd=tcp:127.0.0.1:{port}-:22,restrict=on"]
    words += ["-device", f"virtio-net-pci,netdev=door,mac=52:54:00:00:01:{len(name):02x}"]
    at = "{side}.type=inet,{side}.host=127.0.0.1,{side}.port={port}"
    link = f"dgram,id=link,{at.format(side='local', port=ends[0])},{at.format(side='remote', port=ends[1])}"
    words += [
        "-netdev",
        link,
        "-device",
        f"virtio-net-pci,netdev=link,mac=52:54:00:00:02:{len(name):02x}",
        "-device",
        "virtio-rng-pci",
    ]
    config = {
        "address": f"root@127.0.0.1:{port}", "boot_limit": "4m", "initrd": "/boot/initrd",
        "power": {"kind": "qemu", "words": words, "folder": str(own)},
    }  # fmt: skip
    return Practised(name, own, port, config)


def _initrd(kernel: Kernel) -> bytes:
    assert platform.machine() == "x86_64", "practice machines are of x86_64"
    return initrd(Path("/usr/bin/busybox").read_bytes() if Path("/usr/bin/busybox").exists() else
                  Path("/bin/busybox").read_bytes(), kernel.modules)  # fmt: skip


def _free_ports(kind: socket.SocketKind, count: int) -> list[int]:
    probes = [socket.socket(socket.AF_INET, kind) for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()
