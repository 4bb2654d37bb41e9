"""The words that a guest is begun with, and where in its cage QEMU finds what they name. Pure.

Nothing of a guest is reachable but two sockets in a folder of its own: its console, and the port that carries SSH. It
has no network at all, and QEMU, in its cage, has none either.
"""

import platform
from collections.abc import Iterator

from services.executor.drivers.vm.config import VmConfig

IMAGE, INITRD, ROOT, SEED, MODULES, WORK, CONTROL = (
    f"/guest/{name}" for name in ("image", "initrd", "root", "seed", "modules", "work", "control")
)
CONSOLE, PORT = "console.sock", "port.sock"
"""Sockets in the folder `CONTROL`."""
NAME = "netci"
"""What the port is called in the guest."""
TAGS = {"netci-root": ROOT, "netci-seed": SEED, "netci-modules": MODULES, "netci-work": WORK}

NEEDS = (
    "BLK_DEV_INITRD=y", "RD_GZIP=y", "BINFMT_ELF=y", "BINFMT_SCRIPT=y", "DEVTMPFS=y", "TMPFS=y", "PROC_FS=y", "SYSFS=y",
    "UNIX=y", "NET=y", "INET=y", "UNIX98_PTYS=y", "TTY=y", "PRINTK=y", "MULTIUSER=y", "PCI=y", "VIRTIO_MENU=y",
    "VIRTIO_PCI=y", "VIRTIO_CONSOLE=y", "HW_RANDOM=y", "HW_RANDOM_VIRTIO=y", "NETWORK_FILESYSTEMS=y", "NET_9P=y",
    "NET_9P_VIRTIO=y", "9P_FS=y", "OVERLAY_FS=y", "SERIAL_8250=y", "SERIAL_8250_CONSOLE=y", "FUTEX=y", "EPOLL=y",
    "SIGNALFD=y", "TIMERFD=y", "EVENTFD=y", "SHMEM=y", "FILE_LOCKING=y", "POSIX_TIMERS=y",
)  # fmt: skip
"""Symbols of a kernel that a guest cannot be begun without."""

_OVERHEAD = 1 << 30
"""Bytes that QEMU needs besides the guest's memory, for translated code above all."""
_TTYS = {"aarch64": "ttyAMA0"}
_MACHINES = {"x86_64": "q35"}


def command(config: VmConfig, *, modules: bool, machine: str = platform.machine()) -> tuple[str, ...]:
    """The command line of a guest. `modules`: its kernel has some."""
    return tuple(_words(config, modules, machine))


def _words(config: VmConfig, modules: bool, machine: str) -> Iterator[str]:
    yield from (config.program, "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-name", NAME)
    yield from ("-machine", _MACHINES.get(machine, "virt"), "-accel", "kvm", "-accel", "tcg,tb-size=256")
    yield from ("-cpu", "max", "-smp", str(config.cpus), "-m", f"{config.memory >> 20}M")
    yield from ("-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny")
    yield from ("-kernel", IMAGE, "-initrd", INITRD, "-append", arguments(config, machine))
    for tag, path in TAGS.items():
        if path != MODULES or modules:
            shared = f"local,path={path},mount_tag={tag},security_model=none,readonly=on,multidevs=remap"
            yield from ("-virtfs", shared)
    # Nothing is run before the console is listened to: its first line is kept too.
    yield from (
        "-chardev",
        f"socket,id=console,path={CONTROL}/{CONSOLE},server=on,wait=on",
        "-serial",
        "chardev:console",
    )
    yield from ("-device", "virtio-serial-pci", "-chardev", f"socket,id=port,path={CONTROL}/{PORT},server=on,wait=off")
    yield from ("-device", f"virtserialport,chardev=port,name={NAME}", "-device", "virtio-rng-pci")
    yield from config.qemu


def arguments(config: VmConfig, machine: str) -> str:
    """Of the kernel. A panic ends the guest at once: its console has told all by then."""
    usual = f"console={_TTYS.get(machine, 'ttyS0')} panic=-1 oops=panic"
    return f"{usual} {config.append}".strip()


def memory_of(config: VmConfig) -> int:
    """Bytes that QEMU may use with its guest."""
    # Without a cgroup this bounds the address space, of which threads and translated code reserve more than they use.
    return 2 * config.memory + 3 * _OVERHEAD
