"""How soon a guest runs its first command: a lease of the VM driver, against the same QEMU by hand.

By hand is what one would type: the very words that the driver begins QEMU with, without its cage, and `ssh` over the
same serial port with the same keys, begun at once. Both boot Debian's kernel over the same root, one after the other,
and the median of some rounds is taken. What the driver does besides is its cage, a folder of its own for each guest,
and owning the guest: the wrapper sent, the lease taken, a first look at how the guest is when it is new.
"""

import asyncio
import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from datetime import timedelta
from pathlib import Path, PurePosixPath

from services.executor.drivers.base import Capture, Command, Job
from services.executor.drivers.here import Here
from services.executor.drivers.vm import qemu
from services.executor.drivers.vm.config import VmConfig
from services.executor.drivers.vm.driver import VmDriver, little_root
from services.executor.drivers.vm.guest_root import guest_root
from services.executor.drivers.vm.machine import seed_of
from services.executor.kernels.base import Kernel
from shared.practice.kernel import CACHE
from tests.support.kernel_package import kernel_package

ROUNDS = int(os.environ.get("ROUNDS", "5"))


async def ours(driver: VmDriver, number: int) -> float:
    begun = time.monotonic()
    async with driver.lease(Job(f"boot-{number}", number + 1)) as target:
        said = Capture()
        done = await target.dut.run(Command(("uname", "-r")), timeout=timedelta(seconds=60), out=said)
        assert done.ok, said.stderr
        return time.monotonic() - begun


def by_hand(config: VmConfig, kernel: Kernel, folder: Path) -> float:
    """The same words, and `ssh`."""
    begun = time.monotonic()
    folder.mkdir()
    (folder / "work").mkdir()
    (folder / "initrd").write_bytes(little_root(kernel))
    key = seed_of(folder, PurePosixPath("/run/netci/work"))
    (folder / "key").touch(mode=0o600)
    (folder / "key").write_text(key)
    host = (folder / "seed/host_key.pub").read_text()
    (folder / "known").write_text(f"guest {host}")
    places = {
        qemu.IMAGE: kernel.image, qemu.INITRD: folder / "initrd", qemu.ROOT: config.root, qemu.SEED: folder / "seed",
        qemu.WORK: folder / "work", qemu.CONTROL: folder / "control", qemu.MODULES: kernel.modules,
    }  # fmt: skip
    words = list(qemu.command(config, modules=bool(kernel.modules)))
    for inside, here in places.items():
        words = [word.replace(inside, str(here)) for word in words]
    # No guest in a cage has KVM, so neither has this one.
    at = words.index("kvm")
    del words[at - 1 : at + 1]
    # Its console goes to a file, as nobody listens.
    words = [f"file,id=console,path={folder}/console" if "id=console" in word else word for word in words]
    port = folder / "control" / qemu.PORT
    with subprocess.Popen(words, stdin=subprocess.DEVNULL) as process:
        try:
            while not port.exists():
                time.sleep(0.01)
            options = (f"UserKnownHostsFile={folder / 'known'}", f"ProxyCommand=socat - UNIX-CONNECT:{port}",
                       "HostKeyAlias=guest")  # fmt: skip
            ssh = ["ssh", "-F", "none", "-i", str(folder / "key"), *(f"-o{one}" for one in options)]
            ssh += ["root@guest", "uname -r"]
            subprocess.run(ssh, check=True, stdout=subprocess.DEVNULL, timeout=120)
            return time.monotonic() - begun
        finally:
            process.kill()


async def measure(folder: Path) -> tuple[list[float], list[float]]:
    root = await guest_root(CACHE)
    table = {"kind": "vm", "kernel": kernel_package(), "root": root, "load": 1000, "stagger": "0s"}
    config = VmConfig.model_validate(table)
    driver = VmDriver(config, Here(folder / "state"))
    kernel = await driver.kernel(Job("boot", 0))
    mine, peer = [], []
    for number in range(ROUNDS):
        peer.append(await asyncio.to_thread(by_hand, config, kernel, folder / f"hand-{number}"))
        mine.append(await ours(driver, number))
        print(f"round {number + 1}: netci {mine[-1]:.2f} s, by hand {peer[-1]:.2f} s", flush=True)
    return mine, peer


def main() -> None:
    folder = Path(tempfile.mkdtemp(prefix="netci-boot-", dir="/var/tmp"))
    folder.chmod(0o755)
    try:
        mine, peer = asyncio.run(measure(folder))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    took, hand = statistics.median(mine), statistics.median(peer)
    answer = {"bench": "boot", "ours": round(took, 2), "peer": round(hand, 2), "ratio": round(took / hand, 3)}
    print(json.dumps(answer | {"unit": "s"}))


if __name__ == "__main__":
    main()
