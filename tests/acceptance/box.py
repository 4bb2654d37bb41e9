"""A root file system of its own for one process: what a container engine does, in a few mounts.

A box sees the machine's programs (/usr) read-only, an /etc with only what is put there, and the folders and files that
are mounted into it; it runs as one user without capabilities. Everything is mounted in a namespace of the box's own
and is gone with its process. Needs root, and nothing but util-linux.
"""

import os
import shlex
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_ETC = (
    "alternatives", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "nsswitch.conf", "services", "protocols", "localtime",
    "ssl", "login.defs", "iproute2", "gai.conf",
)  # fmt: skip
_LINKED = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
_PATH = "/opt/netci/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Mount:
    source: Path
    target: str
    writable: bool = False


@dataclass(frozen=True)
class Plan:
    """What a process sees and is. `files` are written into its /etc and elsewhere before it starts: path to text."""

    name: str
    argv: Sequence[str]
    uid: int
    gid: int
    mounts: Sequence[Mount] = ()
    tmpfs: Sequence[str] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    read_only: bool = True
    powers: bool = False
    own_network: bool = False


@dataclass
class Box:
    """A running box. `log` has all that it said."""

    plan: Plan
    process: "subprocess.Popen[bytes]"
    log: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    def run(self, argv: Sequence[str], timeout: float = 60) -> "subprocess.CompletedProcess[str]":
        """Run a command inside, as the box's user: what ``exec`` does, and health checks."""
        inside = ["nsenter", f"--target={self.pid}", "--mount", "--root", "--wd=/"]
        inside += ["--net"] if self.plan.own_network else []
        words = [*inside, *_as_user(self.plan), *_environment(self.plan), *argv]
        return subprocess.run(words, capture_output=True, text=True, timeout=timeout, check=False)

    def stop(self, seconds: float = 20) -> int:
        """SIGTERM, then, if it does not go, SIGKILL; returns its exit code."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    def said(self, lines: int = 25) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


def start(plan: Plan, folder: Path) -> Box:
    """Build the box below `folder` and start its process."""
    root = folder / "roots" / plan.name
    root.mkdir(parents=True, exist_ok=True)
    log = folder / "log" / f"{plan.name}.log"
    log.parent.mkdir(exist_ok=True)
    log.touch()
    log.chmod(0o666)  # a program that opens /dev/stdout anew does so as the box's user
    apart = ["unshare", "--mount", "--propagation=unchanged", *(["--net"] if plan.own_network else [])]
    with log.open("ab") as out:
        process = subprocess.Popen(
            [*apart, "sh", "-euc", script(plan, root)], stdin=subprocess.DEVNULL, stdout=out, stderr=out,
            start_new_session=True, cwd="/",
        )  # fmt: skip
    return Box(plan, process, log)


def run(plan: Plan, folder: Path, timeout: float = 120) -> tuple[int, str]:
    """Run a box to its end: exit code and what it said."""
    box = start(plan, folder)
    try:
        code = box.process.wait(timeout)
    except subprocess.TimeoutExpired:
        box.process.kill()
        code = box.process.wait()
    return code, box.said(200)


def script(plan: Plan, root: Path) -> str:
    """The shell's words that make the root and become the process."""
    lines = [f"mount -t tmpfs -o mode=755 netci {root}", f"cd {root}", "umask 022"]
    lines += ["mkdir -p etc proc dev sys run tmp var/tmp var/lib root opt/netci/bin"]
    lines += _system()
    lines += [line for mount in plan.mounts for line in _mount(mount)]
    lines += [line for at in plan.tmpfs for line in _tmpfs(at)]
    lines += [line for path, text in plan.files.items() for line in _file(path, text)]
    if plan.read_only:
        lines.append("mount -o remount,ro,mode=755 .")
    command = [*_as_user(plan), *_environment(plan), *plan.argv]
    lines.append(f"exec chroot . {shlex.join(command)}")
    return "\n".join(lines)


def _system() -> list[str]:
    lines = ["mkdir usr", "mount --rbind /usr usr", "mount -o remount,bind,ro usr"]
    for name in _LINKED:
        real = f"mkdir {name}; mount --rbind /{name} {name}"
        lines.append(f"if [ -L /{name} ]; then cp -P /{name} .; elif [ -d /{name} ]; then {real}; fi")
    lines += [f"if [ -e /etc/{name} ]; then cp -a /etc/{name} etc/; fi" for name in _ETC]
    return [*lines, *(f"mount --rbind /{name} {name}" for name in ("proc", "dev", "sys"))]


def _mount(mount: Mount) -> list[str]:
    at = shlex.quote(mount.target.lstrip("/"))
    source = shlex.quote(str(mount.source))
    make = f"mkdir -p {at}" if mount.source.is_dir() else f"mkdir -p $(dirname {at}); : > {at}"
    lines = [make, f"mount --bind {source} {at}"]
    return lines if mount.writable else [*lines, f"mount -o remount,bind,ro {at}"]


def _tmpfs(at: str) -> list[str]:
    """As written in compose.yaml: ``/tmp:mode=1777``."""
    path, _, options = at.partition(":")
    return [f"mkdir -p {path.lstrip('/')}", f"mount -t tmpfs -o {options or 'mode=755'} netci {path.lstrip('/')}"]


def _file(path: str, text: str) -> list[str]:
    at = shlex.quote(path.lstrip("/"))
    return [
        f"mkdir -p $(dirname {at})",
        f"printf %s {shlex.quote(text)} > {at}",
        *([f"chmod 755 {at}"] if text.startswith("#!") else []),
    ]


def _as_user(plan: Plan) -> list[str]:
    words = ["setpriv", f"--reuid={plan.uid}", f"--regid={plan.gid}", "--clear-groups"]
    return words if plan.powers else [*words, "--no-new-privs", "--inh-caps=-all", "--bounding-set=-all"]


def _environment(plan: Plan) -> list[str]:
    env = {"PATH": _PATH, "LANG": "C.UTF-8", "HOME": "/nonexistent", **plan.env}
    return ["env", "-i", *(f"{key}={value}" for key, value in env.items())]


def network(box: Box, number: int) -> str:
    """Join a box with its own network to ours by a cable; returns its address."""
    ours, theirs = f"10.77.{number}.1", f"10.77.{number}.2"
    for words in (
        f"ip link add cable{number} type veth peer name eth0 netns {box.pid}",
        f"ip addr add {ours}/24 dev cable{number}",
        f"ip link set cable{number} up",
        f"nsenter -t {box.pid} -n ip addr add {theirs}/24 dev eth0",
        f"nsenter -t {box.pid} -n ip link set eth0 up",
        f"nsenter -t {box.pid} -n ip link set lo up",
    ):
        subprocess.run(words.split(), check=True, env={**os.environ, "PATH": _PATH})
    return theirs
