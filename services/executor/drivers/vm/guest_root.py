"""A root for guests, made of this machine's own packages: what runs here runs there, and nothing need be downloaded.

To reproduce results, for tests, and to try the VM driver with; an operator's is made by ``debootstrap`` or the like.
Files are those that dpkg lists for the wanted packages and all that they depend on, as hard links where the disk is the
same, and nothing else: no configuration of this machine, no key, no account.
"""

import asyncio
import hashlib
import os
import shutil
import stat
from pathlib import Path

from shared.errors import InfraError

PACKAGES = (
    "base-files", "bash", "coreutils", "dash", "diffutils", "findutils", "mawk", "grep", "gzip", "hostname", "iproute2",
    "iputils-ping", "kmod", "mount", "openssh-server", "perl-base", "procps", "python3-minimal", "sed", "tar",
    "util-linux",
)  # fmt: skip
"""A shell, an sshd, and what selftests usually call."""
_LEAVE = (
    "/usr/share/doc/",
    "/usr/share/man/",
    "/usr/share/locale/",
    "/usr/share/info/",
    "/var/",
    "/boot/",
    "/lib/modules/",
)
_FOLDERS = (
    "boot", "dev", "etc", "home", "lib/modules", "media", "mnt", "opt", "proc", "root", "run", "srv", "sys", "tmp",
    "usr", "var/lib", "var/log", "var/tmp",
)  # fmt: skip
_ETC = {
    "passwd": "root:x:0:0:root:/root:/bin/bash\nsshd:x:74:65534::/run/sshd:/usr/sbin/nologin\n"
    "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
    "group": "root:x:0:\nnogroup:x:65534:\ntty:x:5:\n",
    "hosts": "127.0.0.1 localhost\n::1 localhost\n",
    "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
    "shadow": "root:*:1:0:99999:7:::\n",
}
_MERGED = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")


async def guest_root(cache: Path, packages: tuple[str, ...] = ()) -> Path:
    """The folder, made below `cache` if what is installed has changed. Raises InfraError naming what is missing."""
    wanted = (*PACKAGES, *packages)
    versions = await _dpkg("-W", "-f", "${Package} ${Version} ${db:Status-Abbrev}\\n")
    installed = {line.split()[0] for line in versions.splitlines() if line.split()[2:] == ["ii"]}
    if missing := [name for name in wanted if name not in installed]:
        raise InfraError(f"a guest's root needs packages that are not installed: apt install {' '.join(missing)}")
    key = hashlib.sha256((versions + repr((wanted, _ETC, _FOLDERS, _LEAVE))).encode()).hexdigest()[:16]
    folder = cache / f"guest-root-{key}"
    if not folder.is_dir():
        files = await _files(await _closure(wanted, installed))
        await asyncio.to_thread(_make, folder, files)
    return folder


async def _dpkg(*words: str) -> str:
    process = await asyncio.create_subprocess_exec(
        "dpkg-query", *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, said = await process.communicate()
    if process.returncode:
        raise InfraError(f"dpkg-query: {said.decode(errors='replace').strip()[-300:]}")
    return out.decode()


async def _closure(wanted: tuple[str, ...], installed: set[str]) -> list[str]:
    """The packages and what they depend on; of alternatives what is installed."""
    lines = await _dpkg("-W", "-f", "${Package}|${Pre-Depends}, ${Depends}|${Provides}\\n")
    needs: dict[str, list[list[str]]] = {}
    givers: dict[str, str] = {}
    for line in lines.splitlines():
        name, depends, provides = line.split("|", 1)[0], *line.split("|", 1)[1].rsplit("|", 1)
        if name in installed:
            needs[name] = [[_name(one) for one in group.split("|")] for group in depends.split(",") if group.strip()]
            givers |= {_name(one): name for one in provides.split(",") if one.strip()}
    found: dict[str, None] = {}
    open_ = list(wanted)
    while open_:
        name = open_.pop()
        if name in found or name not in needs:
            continue
        found[name] = None
        for group in needs[name]:
            open_ += [there for one in group if (there := one if one in needs else givers.get(one, ""))][:1]
    return sorted(found)


def _name(dependency: str) -> str:
    return dependency.strip().partition(" ")[0].partition(":")[0]


async def _files(packages: list[str]) -> list[str]:
    listed = await _dpkg("-L", *packages)
    paths = {line for line in listed.splitlines() if line.startswith("/") and not line.startswith(_LEAVE)}
    return sorted(path for path in paths if not path.startswith("/etc/") or path.startswith("/etc/alternatives"))


def _make(folder: Path, files: list[str]) -> None:
    """It gets its name when it is whole."""
    new = folder.with_name(f".{folder.name}.{os.getpid()}")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    for name in _FOLDERS:
        (new / name).mkdir(parents=True, exist_ok=True)
    for name in _MERGED:
        link = Path("/", name)
        if link.is_symlink():
            (new / "usr" / name).mkdir(exist_ok=True)
            if name == "lib":
                # What was made for modules goes along.
                shutil.move(str(new / "lib/modules"), new / "usr/lib/modules")
                (new / "lib").rmdir()
            (new / name).symlink_to(f"usr/{name}")
    for path in files:
        _take(Path(path), new / path.lstrip("/"))
    _alternatives(new)
    for name, text in _ETC.items():
        (new / "etc" / name).write_text(text)
    new.chmod(0o755)
    shutil.rmtree(folder, ignore_errors=True)
    new.rename(folder)


def _take(source: Path, to: Path) -> None:
    try:
        mode = source.lstat().st_mode
    except OSError:
        return
    if stat.S_ISDIR(mode):
        to.mkdir(parents=True, exist_ok=True)
        return
    to.parent.mkdir(parents=True, exist_ok=True)
    if to.is_symlink() or to.exists():
        return
    if stat.S_ISLNK(mode):
        to.symlink_to(os.readlink(source))
    elif stat.S_ISREG(mode) and mode & stat.S_IROTH:
        try:
            os.link(source, to)
        except OSError:
            shutil.copy2(source, to)


def _alternatives(new: Path) -> None:
    """Links of the alternatives system belong to no package: ``/usr/bin/awk``, say. Those that lead somewhere here."""
    (new / "etc/alternatives").mkdir(exist_ok=True)
    for link in (*Path("/usr/bin").iterdir(), *Path("/usr/sbin").iterdir()):
        if not link.is_symlink() or not (at := os.readlink(link)).startswith("/etc/alternatives/"):
            continue
        alternative = Path(at)
        if alternative.is_symlink() and (new / os.readlink(alternative).lstrip("/")).exists():
            _take(link, new / str(link).lstrip("/"))
            _take(alternative, new / at.lstrip("/"))
