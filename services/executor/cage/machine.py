"""What this machine has for cages, looked up once: the tools, how its root folder looks, its cgroups, who we are."""

import os
import platform
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from services.executor.cage.cgroups import Parents, find_parents
from services.executor.cage.seccomp import filter_for
from services.executor.cage.warden.order import DROP, OWN
from shared.errors import InfraError

_CAPS = {"CAP_CHOWN": 0, "CAP_SETGID": 6, "CAP_SETUID": 7, "CAP_SYS_ADMIN": 21}
_SHOWN = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
_ETC = (
    "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "alternatives", "localtime", "perl", "python3*", "debian_version",
    "mime.types", "magic", "ssl/openssl.cnf",
)  # fmt: skip
_LOCKS = "/run/lock/netci-cage"


@dataclass(frozen=True, slots=True)
class Machine:
    """Paths of the tools ("" of one that isn't needed), and what a cage shows of the machine. `links` are those of its
    root folder, `folders` and `etc` are shown read-only; `path` are folders of more programs, `tools` what is shown for
    those.
    """

    mode: str
    bwrap: str
    prlimit: str
    setpriv: str
    env: str
    links: Mapping[str, str]
    folders: tuple[str, ...]
    etc: tuple[str, ...]
    path: tuple[Path, ...]
    tools: tuple[str, ...]
    users: tuple[int, int]
    seccomp: bytes
    parents: Parents
    uid: int
    gid: int
    locks: str = _LOCKS


def look(mode: str, path: tuple[Path, ...], users: tuple[int, int]) -> Machine:
    """Raises InfraError for a tool that is missing."""
    return Machine(
        mode=mode,
        bwrap=_tool("bwrap", "bubblewrap") if mode in (DROP, OWN) else "",
        prlimit=_tool("prlimit", "util-linux"),
        setpriv=_tool("setpriv", "util-linux") if mode == DROP else "",
        env=_tool("env", "coreutils"),
        links={p: os.readlink(p) for p in _SHOWN if os.path.islink(p)},
        folders=tuple(p for p in _SHOWN if os.path.isdir(p) and not os.path.islink(p)),
        etc=tuple(str(path) for name in _ETC for path in sorted(Path("/etc").glob(name)) if path.exists()),
        path=path,
        tools=tuple(dict.fromkeys(map(_tool_folder, path))),
        users=users,
        seccomp=filter_for(platform.machine()) if mode in (DROP, OWN) else b"",
        parents=find_parents(),
        uid=os.geteuid(),
        gid=os.getegid(),
    )


def fitting_mode() -> str:
    """How a command can be another user here, or at least one without rights. Raises InfraError if it can't."""
    if os.geteuid():
        return OWN
    if missing := [name for name, bit in _CAPS.items() if not _capabilities() >> bit & 1]:
        raise InfraError(
            f"checks can't be isolated: root lacks {', '.join(missing)} here, so cannot become another user. Run "
            "this room as an ordinary user, or with these capabilities"
        )
    return DROP


def _capabilities() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapEff:"):
            return int(line.split()[1], 16)
    return 0


def _tool_folder(path: Path) -> str:
    """The programs of a virtual environment are nothing without the rest of it."""
    return str(path.parent if (path.parent / "pyvenv.cfg").exists() else path)


def _tool(name: str, package: str) -> str:
    found = shutil.which(name, path="/usr/bin:/bin:/usr/sbin:/sbin")
    if not found:
        raise InfraError(f"checks can't be isolated: {name} is not installed (apt install {package})")
    return found
