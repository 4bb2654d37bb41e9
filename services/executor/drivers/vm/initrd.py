"""The little root that a guest begins with: it loads what the kernel lacks, mounts what the guest is given, and makes
way for it.

Answers with bytes, an uncompressed cpio archive (``Documentation/driver-api/early-userspace/buffer-format.rst``), which
is the same for the same kernel. Refuses to know QEMU. Two kinds of kernels boot by it: one that has all built in, and a
distribution's, of which the modules that are wanted are taken along, each after those that it depends on.
"""

import lzma
import stat
from collections.abc import Iterator
from pathlib import Path

from shared.errors import Refused

WANTED = ("virtio_pci", "virtio_console", "9pnet_virtio", "9p", "overlay", "virtio_rng")
"""Modules without which a guest sees neither its root nor us, in the order of their loading."""
_OPTIONAL = ("virtio_rng",)

INIT = """#!/bin/busybox sh
export PATH=/bin
for name in mount mkdir cp insmod switch_root umount sleep; do /bin/busybox ln -s busybox /bin/$name; done
mount -t proc proc /proc
for module in /modules/*; do [ -f "$module" ] && insmod "$module"; done
share="-t 9p -o trans=virtio,version=9p2000.L,msize=262144,ro"
tries=0
until mount $share,cache=loose netci-root /root; do
    tries=$((tries + 1))
    [ "$tries" -gt 20 ] && echo "netci: the guest's root cannot be mounted" && exit 1
    sleep 0.1
done
mount -t tmpfs -o mode=755 run /root/run || exit 1
mkdir -p /root/run/netci
mount $share netci-seed /seed && cp /seed/* /root/run/netci/ && umount /seed || exit 1
umount /proc
exec switch_root /root /bin/sh /run/netci/init
"""


def initrd(busybox: bytes, modules: Path | None = None) -> bytes:
    """The archive. `busybox` is a program that needs no library; `modules` is a kernel's folder below ``/lib/modules``,
    None for one that needs none. Raises Refused where a module is missing that is not built in.
    """
    entries: list[tuple[str, int, bytes]] = [
        (name, stat.S_IFDIR | 0o755, b"") for name in ("bin", "dev", "modules", "proc", "root", "seed")
    ]
    entries += [("bin/busybox", stat.S_IFREG | 0o755, busybox), ("init", stat.S_IFREG | 0o755, INIT.encode())]
    if modules is not None:
        taken = enumerate(_taken(modules))
        entries += [(f"modules/{n:02d}-{name}.ko", stat.S_IFREG | 0o644, data) for n, (name, data) in taken]
    return b"".join(_entry(n, *entry) for n, entry in enumerate((*entries, ("TRAILER!!!", 0, b"")), 1))


def _entry(number: int, name: str, mode: int, data: bytes) -> bytes:
    path = name.encode() + b"\0"
    links = 2 if stat.S_ISDIR(mode) else 1
    fields = (number, mode, 0, 0, links, 0, len(data), 0, 0, 0, 0, len(path), 0)
    head = b"070701" + b"".join(b"%08X" % field for field in fields)
    return _padded(head + path) + _padded(data)


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)


def _taken(modules: Path) -> Iterator[tuple[str, bytes]]:
    """Names and contents of the modules that are wanted, each after those that it depends on."""
    there = {_name(path): path for path in modules.rglob("*.ko*")}
    builtin = modules / "modules.builtin"
    inside = {_name(Path(line)) for line in builtin.read_text("utf-8").splitlines()} if builtin.is_file() else set()
    seen: set[str] = set()

    def load(name: str) -> Iterator[tuple[str, bytes]]:
        if name in seen or name in inside:
            return
        seen.add(name)
        if (path := there.get(name)) is None:
            if name in _OPTIONAL:
                return
            raise Refused(f"{modules}: there is no module {name}, and it is not built in")
        data = _unpacked(path)
        for other in _depends(data):
            yield from load(other)
        yield name, data

    for wanted in WANTED:
        yield from load(wanted)


def _name(path: Path) -> str:
    """As modprobe counts names: a dash is an underscore."""
    return path.name.partition(".ko")[0].replace("-", "_")


def _unpacked(path: Path) -> bytes:
    data = path.read_bytes()
    if path.suffix == ".xz":
        return lzma.decompress(data)
    if path.suffix != ".ko":
        raise Refused(f"{path}: a module packed in a way that is not known here")
    return data


def _depends(module: bytes) -> list[str]:
    """The field ``depends`` of a module's ``.modinfo``."""
    _, _, rest = module.partition(b"\0depends=")
    names = rest.partition(b"\0")[0].decode("ascii", "replace")
    return [name.replace("-", "_") for name in names.split(",") if name]
