"""What is decided of guests without one: their little root, their words, whether there is room, whether one is worn."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from services.executor.drivers.base import Job
from services.executor.drivers.console import MOST, Console
from services.executor.drivers.here import Here
from services.executor.drivers.vm import health, qemu
from services.executor.drivers.vm.config import VmConfig
from services.executor.drivers.vm.driver import VmDriver
from services.executor.drivers.vm.governor import hindrance
from services.executor.drivers.vm.initrd import INIT, initrd
from services.executor.drivers.vm.machine import INITRD
from services.executor.kernels.base import Kernel
from shared.errors import Refused

CONFIG = VmConfig(kind="vm", kernel=Path("/srv/bzImage"), root=Path("/srv/root"), count=2)


# The little root


def entries(archive: bytes) -> dict[str, bytes]:
    """Names and contents of a cpio archive in the new format."""
    found: dict[str, bytes] = {}
    at = 0
    while True:
        assert archive[at : at + 6] == b"070701"
        size, length = (int(archive[at + n : at + n + 8], 16) for n in (54, 94))
        name = archive[at + 110 : at + 110 + length - 1].decode()
        at += (110 + length + 3) // 4 * 4
        if name == "TRAILER!!!":
            return found
        found[name] = archive[at : at + size]
        at += (size + 3) // 4 * 4


def module(folder: Path, name: str, *depends: str) -> None:
    path = folder / "kernel" / f"{name}.ko"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(
        b"\x7fELF\0license=GPL\0depends=" + ",".join(depends).encode() + b"\0retpoline=Y\0" + name.encode()
    )


def test_modules_come_after_those_that_they_depend_on(tmp_path: Path) -> None:
    for name, depends in {
        "virtio": (), "virtio_ring": ("virtio",), "virtio_pci": ("virtio_ring",), "9pnet": (), "overlay": (),
        "9pnet_virtio": ("9pnet", "virtio-ring"), "9p": ("9pnet",), "unwanted": (),
    }.items():  # fmt: skip
        module(tmp_path, name, *depends)
    (tmp_path / "modules.builtin").write_text("kernel/drivers/char/virtio_console.ko\n")
    names = [name.partition("-")[2] for name in entries(initrd(b"box", tmp_path)) if name.startswith("modules/")]
    assert names == [f"{n}.ko" for n in (
        "virtio", "virtio_ring", "virtio_pci", "9pnet", "9pnet_virtio", "9p", "overlay"
    )]  # fmt: skip


def test_a_module_that_is_nowhere_is_told(tmp_path: Path) -> None:
    module(tmp_path, "virtio_pci")
    with pytest.raises(Refused, match="no module virtio_console"):
        initrd(b"box", tmp_path)


def test_a_kernel_that_needs_no_module_gets_none_and_the_same_is_the_same() -> None:
    made = entries(initrd(b"box"))
    assert made["bin/busybox"] == b"box"
    assert made["init"] == INIT.encode()
    assert not [name for name in made if name.startswith("modules/")]
    assert initrd(b"box") == initrd(b"box")


# The words


def test_a_guest_has_no_network_and_only_reads() -> None:
    words = qemu.command(CONFIG, modules=True, machine="x86_64")
    assert not [word for word in words if "netdev" in word or word == "-nic" or "hostfwd" in word]
    assert "-nodefaults" in words
    shared = [word for word in words if word.startswith("local,")]
    assert len(shared) == 4
    assert all(",readonly=on" in word for word in shared)
    assert len([word for word in qemu.command(CONFIG, modules=False) if word.startswith("local,")]) == 3


def test_a_console_is_listened_to_before_anything_runs() -> None:
    (console,) = (word for word in qemu.command(CONFIG, modules=False) if "id=console" in word)
    assert console.endswith("server=on,wait=on")


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"root": "/"}, "own root"),
        ({"kernel": "bzImage"}, "absolute"),
        ({"kernel": "/a.deb", "modules": "/m"}, "has its own"),
        ({"append": "a\nb"}, "one line"),
        ({"count": 0}, "greater than"),
    ],
)
def test_what_cannot_be_is_refused(wrong: dict[str, object], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        VmConfig.model_validate({"kind": "vm", "kernel": "/srv/bzImage", "root": "/srv/root", **wrong})


# Room

PROC = {
    "loadavg": "1.50 1.0 1.0 1/100 4242\n", "meminfo": "MemAvailable:    4000000 kB\nDirty:     1000 kB\n",
    "pressure/io": "some avg10=90.00 avg60=1\nfull avg10=3.00 avg60=1\n",
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({}, ""),
        ({"loadavg": "8.10 1 1 1/1 1\n"}, "the load is 8.1, above 8"),
        ({"meminfo": "MemAvailable: 1000000 kB\n"}, "976 MiB of memory are left, and a guest needs 1280"),
        ({"meminfo": "MemAvailable: 4000000 kB\nDirty: 3000000 kB\n"}, "2929 MiB wait to be written, above 2048"),
        ({"pressure/memory": "full avg10=55.00 avg60=1\n"}, "work waits for memory 55 % of the time"),
        ({"loadavg": "", "meminfo": ""}, ""),
    ],
)
def test_a_guest_begins_where_there_is_room(change: dict[str, str], why: str) -> None:
    proc = PROC | change
    assert hindrance(CONFIG, lambda name: proc.get(name, ""), 2) == why


# Wear

NEW = b"taint 0\nlink lo\nlink dummy0\nprocess 80 sshd\n"


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (NEW, ""),
        (NEW + b"link tunl0\nlink sit0\n", ""),
        (NEW.replace(b"taint 0", b"taint 512"), "its kernel is tainted: W"),
        (NEW + b"link veth1\nnetns left\n", "interfaces were left: veth1; network namespaces were left: left"),
        (NEW.replace(b"link dummy0\n", b""), "interfaces are gone: dummy0"),
        (NEW + b"process 99 nc (x)\n", "processes were left: nc (x)"),
        (b"\xff\xfe\0" * 1000, "interfaces are gone: dummy0, lo"),
    ],
)
def test_wear_is_what_was_not_there_when_it_was_new(said: bytes, why: str) -> None:
    assert health.worn(health.read(NEW), health.read(said)) == why


def test_taint_is_written_as_the_kernel_does() -> None:
    assert health.letters(0) == ""
    assert health.letters(1 << 7 | 1 << 9 | 1 << 12) == "DWO"
    assert health.letters(1 << 40) == "(40)"


# Folders


async def test_drivers_of_one_pool_leave_each_other_what_is_theirs(tmp_path: Path) -> None:
    one, other = VmDriver(CONFIG, Here(tmp_path)), VmDriver(CONFIG, Here(tmp_path))
    kernel = Kernel(Path("/srv/bzImage"))
    async with one._folder(Job("run-1", 1), kernel) as (work, folder):
        (work / "ready").touch()
        for n in range(5):
            async with other._folder(Job(f"run-{n}", n), kernel) as (others, its):
                assert others != work
                assert (its / INITRD).stat().st_size > 1 << 20
            assert not its.exists()
        assert (folder / INITRD).is_file()
    assert not folder.exists()
    # A worn guest's successor finds what was prepared.
    async with one._folder(Job("run-1", 2), kernel) as (again, _):
        assert (again / "ready").is_file()
    # Of runs that are over the newest few stay.
    assert len(list(other._prepared.all.iterdir())) == 3


# The console


async def test_of_a_console_without_end_the_newest_is_kept() -> None:
    console = Console()
    for n in range(3):
        console._keep(bytes([65 + n]) * (MOST // 2))
    taken = await console.take()
    assert taken.startswith(b"(netci: %d bytes before this were dropped)\nB" % (MOST // 2))
    assert taken.endswith(b"C")
    assert await console.take() == b""
