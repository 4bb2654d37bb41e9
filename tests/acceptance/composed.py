"""From a service of compose.yaml to a box: its command, user, environment, mounts, secrets and health check as written.

Only where things are is added: names of services become addresses of our network, files below the project's folder
become files below ours. Nothing of what a service may see or do is changed.
"""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.acceptance.box import Box, Mount, Plan
from tests.house.files import ROOT, compose, service

NAMES = {
    "database": "127.0.0.1", "broker": "127.0.0.1", "ingest": "172.30.77.4", "report": "172.30.77.5",
    "proxy": "172.30.77.6", "forge": "172.30.77.21", "patchwork": "172.30.77.22",
    "alpha": "10.77.1.2", "beta": "10.77.2.2",
}  # fmt: skip
HOSTS = "127.0.0.1 localhost\n" + "".join(f"{address} {name}\n" for name, address in NAMES.items())
_USERS = {0: "root", 101: "nginx", 10000: "netci", 10001: "netci-ingest", 10002: "netci-branch",
          10003: "netci-executor", 10004: "netci-report", 10005: "netci-checks", 10020: "git"}  # fmt: skip
PASSWD = "".join(
    f"{name}:x:{uid}:{10000 if 10000 <= uid < 10010 else uid}::{'/root' if not uid else '/nonexistent'}:/bin/sh\n"
    for uid, name in _USERS.items()
)
GROUP = "root:x:0:\nnginx:x:101:\nnetci:x:10000:\ngit:x:10020:\n"


@dataclass(frozen=True)
class Composed:
    """The project's folder as an operator would have it after `config/prepare`; volumes are folders below it."""

    folder: Path

    def plan(self, name: str, argv: list[str] | None = None) -> Plan:
        found = service(name)
        uid, gid = (int(number) for number in found["user"].split(":"))
        ours = "build" in found
        return Plan(
            name=name if argv is None else f"{name}-command",
            argv=argv or found["command"],
            uid=uid,
            gid=gid,
            mounts=[*self._mounts(found), *(_program(self.folder.parent / "app") if ours else [])],
            tmpfs=found.get("tmpfs", []),
            files={"/etc/hosts": HOSTS, "/etc/passwd": PASSWD, "/etc/group": GROUP, **(_COMMANDS if ours else {})},
            env={
                **{key: str(value) for key, value in found.get("environment", {}).items()},
                **(_IMAGE if ours else {}),
            },
            read_only=bool(found.get("read_only")),
        )

    def _mounts(self, found: dict[str, Any]) -> list[Mount]:
        mounts = [self._volume(text) for text in found.get("volumes", [])]
        for kind, place in (("configs", "/"), ("secrets", "/run/secrets/")):
            for grant in found.get(kind, []):
                file = self.folder / compose()[kind][grant["source"]]["file"]
                target = grant["target"] if grant["target"].startswith("/") else place + grant["target"]
                mounts.append(Mount(file, target))
        return mounts

    def _volume(self, text: str) -> Mount:
        name, target = text.split(":")[:2]
        folder = self.folder / "volumes" / name
        if not folder.is_dir():
            # A new volume takes over owner and mode of the image's folder: see Containerfile.
            folder.mkdir(parents=True)
            folder.chmod(0o2770)
            os.chown(folder, 0, 10000)
        return Mount(folder, target, writable=not text.endswith(":ro"))


# What the image has: the program, its packages, the interpreter.
_PYTHON = sys.executable
_COMMANDS = {
    "/opt/netci/bin/netci": f'#!/bin/sh\nexec {_PYTHON} -m services "$@"\n',
    "/opt/netci/bin/python3": f'#!/bin/sh\nexec {_PYTHON} "$@"\n',
}
_IMAGE = {"PYTHONPATH": "/opt/netci/app", "PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1"}


def build(folder: Path) -> None:
    """What the image is built from, copied: an edit meanwhile changes nothing of what runs."""
    for name in ("services", "shared"):
        shutil.copytree(ROOT / name, folder / "app" / name, ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run([_PYTHON, "-m", "compileall", "-q", str(folder / "app")], check=True)


def _program(app: Path) -> list[Mount]:
    folders = [Path(sys.prefix)]
    if not sys.base_prefix.startswith("/usr"):
        folders.append(Path(sys.base_prefix))
    return [Mount(app, "/opt/netci/app"), *(Mount(folder, str(folder)) for folder in folders)]


def healthy(box: Box) -> tuple[bool, str]:
    """What the service's health check says, run inside as an engine runs it."""
    test = service(box.plan.name)["healthcheck"]["test"]
    argv = test[1:] if test[0] == "CMD" else ["/bin/sh", "-c", *test[1:]]
    ran = box.run(argv, timeout=30)
    return ran.returncode == 0, (ran.stderr or ran.stdout).strip()[-300:]
