"""What is outside of netci: a Patchwork, a forge for git (pushed to over SSH, read over git://), two test hosts.

All real programs, except that the Patchwork is the practice one.
"""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.acceptance.box import Box, Mount, Plan, network, start
from tests.acceptance.composed import GROUP, HOSTS, NAMES
from tests.acceptance.series import Author, bare
from tests.house.files import ROOT
from tests.support.programs import program

GIT = 10020
_SSHD = """\
ListenAddress 0.0.0.0
Port 22
HostKey /etc/ssh/host_key
AuthorizedKeysFile /etc/ssh/authorized_keys
PidFile none
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
StrictModes no
PrintMotd no
MaxStartups 100
"""
_PASSWD = (
    "root:x:0:0::/root:/bin/sh\nsshd:x:110:65534::/run/sshd:/usr/sbin/nologin\nnobody:x:65534:65534::/:/usr/sbin/nologin\n"
    f"git:x:{GIT}:{GIT}::/srv/git:/usr/bin/git-shell\n"
)


def wait(what: str, ready: Callable[[], bool], seconds: float, step: float = 0.1) -> None:
    """Until `ready`. Raises AssertionError after `seconds`."""
    until = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < until, f"{what}: not within {seconds:g} s"
        time.sleep(step)


def listens(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), 1).close()
    except OSError:
        return False
    return True


def key_pair(path: Path) -> str:
    """Make a key; returns the public half, without its comment."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "netci", "-f", str(path)], check=True)
    return " ".join(path.with_suffix(".pub").read_text().split()[:2])


@dataclass
class Outside:
    """All of it, started by `start`. `boxes` end with the namespace; `site` is the Patchwork's process."""

    folder: Path
    kernel: Path
    boxes: list[Box] = field(default_factory=list)
    known_hosts: list[str] = field(default_factory=list)
    token: str = ""

    def start(self, push_key: str, host_key: str) -> None:
        """`push_key` and `host_key` are the public halves that forge and hosts let in."""
        self._patchwork()
        self._forge(push_key)
        for number, name in enumerate(("alpha", "beta"), 1):
            self._host(name, number, host_key)

    # Patchwork

    def _patchwork(self) -> None:
        log = self.folder / "log" / "patchwork.log"
        log.parent.mkdir(exist_ok=True)
        with log.open("wb") as out:
            self.site = subprocess.Popen(
                [sys.executable, "-m", "shared.practice.patchwork", "--listen", f"{NAMES['patchwork']}:80",
                 "--project", "netdevbpf"],
                cwd=ROOT, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
            )  # fmt: skip
        wait("Patchwork", lambda: "token nipa-bot" in log.read_text(), 30)
        lines = [line.split() for line in log.read_text().splitlines()]
        self.token = next(line[2] for line in lines if line[:2] == ["token", "nipa-bot"])

    def ask(self, path: str, body: bytes | None = None) -> object:
        request = urllib.request.Request(f"http://{NAMES['patchwork']}{path}", data=body)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read())

    def post(self, mails: Sequence[bytes]) -> None:
        for mail in mails:
            made = self.ask("/practice/mail", mail)
            assert isinstance(made, list), made
            assert all(one["made"] for one in made), made

    # Forge

    def _forge(self, push_key: str) -> None:
        git = self.folder / "git"
        git.mkdir()
        base = subprocess.run(
            ["git", "--git-dir", str(self.kernel), "rev-parse", "main"], capture_output=True, text=True, check=True
        ).stdout.strip()
        author = Author(self.folder, self.kernel)
        note = {"net-next": "CREDITS", "net": "MAINTAINERS"}
        self.heads = {
            tree: author.commit(base, f"{tree}: open", {file: author.read(base, file) + b"\n"})
            for tree, file in note.items()
        }
        self.author = author
        for name in ("net-next", "net", "testing"):
            path = bare(git / f"{name}.git", self.kernel)
            if name in self.heads:
                author.git("push", "--quiet", str(path), f"{self.heads[name]}:refs/heads/main")
            # As public forges allow: fetching by commit id.
            subprocess.run(
                ["git", "--git-dir", str(path), "config", "uploadpack.allowReachableSHA1InWant", "true"], check=True
            )
        subprocess.run(["chown", "-R", f"{GIT}:{GIT}", str(git)], check=True)
        mounts = [Mount(git, "/srv/git", writable=True), Mount(self.kernel, str(self.kernel))]
        self._sshd("forge", push_key, mounts, own_network=False, listen=NAMES["forge"])
        self._daemon(git, mounts[1])

    def _daemon(self, git: Path, kernel: Mount) -> None:
        daemon = Plan(
            "forge-git",
            [program("git"), "daemon", "--reuseaddr", "--export-all", "--base-path=/srv/git",
             f"--listen={NAMES['forge']}", "/srv/git"],
            uid=GIT, gid=GIT, mounts=[Mount(git, "/srv/git"), kernel],
            files={"/etc/passwd": _PASSWD, "/etc/group": GROUP}, env={"HOME": "/srv/git"}, tmpfs=["/tmp:mode=1777"],
        )  # fmt: skip
        self.boxes.append(start(daemon, self.folder))
        wait("git daemon", lambda: listens(NAMES["forge"], 9418), 20)

    # Hosts

    def used(self, name: str) -> bool:
        """Whether the executor came in."""
        return "Accepted publickey for root" in next(one for one in self.boxes if one.plan.name == name).said(10_000)

    def _host(self, name: str, number: int, host_key: str) -> None:
        home = self.folder / "hosts" / name
        home.mkdir(parents=True)
        box = self._sshd(name, host_key, [Mount(home, "/root", writable=True)], own_network=True, listen="0.0.0.0")
        ours = os.stat("/proc/self/ns/net").st_ino
        wait(name, lambda: os.stat(f"/proc/{box.pid}/ns/net").st_ino != ours, 10)
        assert network(box, number) == NAMES[name]
        wait(name, lambda: listens(NAMES[name], 22), 20)

    def _sshd(self, name: str, key: str, mounts: Sequence[Mount], *, own_network: bool, listen: str) -> Box:
        host_key = self.folder / f"{name}_key"
        self.known_hosts.append(f"{name} {key_pair(host_key)}")
        config = _SSHD.replace("0.0.0.0", listen)
        files = {
            "/etc/ssh/sshd_config": config, "/etc/ssh/authorized_keys": f"{key}\n", "/etc/hosts": HOSTS,
            "/etc/passwd": _PASSWD, "/etc/group": GROUP + "nogroup:x:65534:\n", "/etc/shells": "/bin/sh\n",
            # Without it a name service may say that the account of root is locked.
            "/etc/shadow": "root:*:20000::::::\ngit:*:20000::::::\n",
        }  # fmt: skip
        plan = Plan(
            name, [program("sshd"), "-D", "-e", "-f", "/etc/ssh/sshd_config"], uid=0, gid=0,
            mounts=[*mounts, Mount(host_key, "/etc/ssh/host_key")], tmpfs=["/tmp:mode=1777", "/run/sshd"], files=files,
            read_only=False, powers=True, own_network=own_network,
        )  # fmt: skip
        box = start(plan, self.folder)
        self.boxes.append(box)
        if not own_network:
            wait(name, lambda: listens(NAMES[name], 22), 20)
        return box
