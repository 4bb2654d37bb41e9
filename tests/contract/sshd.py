"""A real OpenSSH server on loopback with a configuration and keys of its own; ended by its process id."""

import getpass
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

_CONFIG = """\
ListenAddress 127.0.0.1
Port {port}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/authorized_keys
PidFile none
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
StrictModes no
PrintMotd no
"""


@dataclass(frozen=True)
class Sshd:
    """A server that listens, and what a client needs to reach it."""

    address: str
    key_file: Path
    known_hosts: Path
    pid: int

    def cut(self) -> None:
        """End the processes that serve connections, never the one that listens."""
        for pid in _children(self.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@contextmanager
def sshd(folder: Path) -> Iterator[Sshd]:
    """Serve this account to a key made for the occasion."""
    program = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:" + os.environ.get("PATH", ""))
    assert program, "OpenSSH's server is needed: apt-get install openssh-server"
    for name in ("host_key", "id", "other_key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    shutil.copy(folder / "id.pub", folder / "authorized_keys")
    port = _free_port()
    (folder / "config").write_text(_CONFIG.format(port=port, folder=folder))
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {(folder / 'host_key.pub').read_text()}")
    if os.geteuid() == 0:
        # Debian's server wants this folder for the part that holds no privileges.
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    with _listening([program, "-D", "-e", "-f", str(folder / "config")], port, folder / "log") as pid:
        yield Sshd(f"{getpass.getuser()}@127.0.0.1:{port}", folder / "id", folder / "known_hosts", pid)


@contextmanager
def _listening(words: list[str], port: int, log: Path) -> Iterator[int]:
    with log.open("wb") as said:
        server = subprocess.Popen(words, stdout=said, stderr=said, stdin=subprocess.DEVNULL)
    try:
        _wait_for(port, server, log)
        yield server.pid
    finally:
        for pid in _children(server.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        server.terminate()
        server.wait(10)


def _wait_for(port: int, server: subprocess.Popen[bytes], log: Path) -> None:
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except ConnectionRefusedError:
            assert server.poll() is None, f"sshd ended at once: {log.read_text()}"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _children(parent: int) -> list[int]:
    found = []
    for folder in Path("/proc").iterdir():
        try:
            fields = (folder / "stat").read_text().rpartition(") ")[2].split()
        except OSError:
            continue
        if folder.name.isdigit() and int(fields[1]) == parent and fields[0] != "Z":
            found.append(int(folder.name))
    return found
