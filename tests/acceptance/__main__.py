"""`make acceptance`: the whole road on the kernel's source, with the rooms as compose.yaml has them.

A Debian kernel as the tree, series made from it by `git format-patch`, PostgreSQL and RabbitMQ as servers, the
rooms as processes of their own users with the command, environment, mounts, secrets and health checks of compose.yaml,
the real proxy with the shipped configuration, two OpenSSH hosts that build and run the kernel's own selftests, two
branches cut by hand. At the end the checks are read back from Patchwork, pages are rendered in Chromium, and the exit
code is 0 only if all is as it should be.

Everything runs in network, mount and process namespaces of its own: the machine's network is not touched, and what was
started ends with the namespace.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

MARK = "NETCI_ACCEPTANCE_FOLDER"


def main() -> int:
    options = argparse.ArgumentParser(prog="python -m tests.acceptance", description=__doc__)
    options.add_argument("--keep", action="store_true", help="leave the folder with logs and pictures behind")
    keep = options.parse_args().keep
    if inside := os.environ.get(MARK):
        from tests.acceptance.road import walk

        return walk(Path(inside))
    if os.geteuid():
        print("acceptance runs each room as a user of its own: run it as root", file=sys.stderr)
        return 2
    folder = Path(tempfile.mkdtemp(prefix="netci-acceptance-", dir="/var/tmp"))
    folder.chmod(0o755)
    apart = [
        "unshare",
        "--net",
        "--mount",
        "--propagation=unchanged",
        "--pid",
        "--fork",
        "--kill-child",
        "--mount-proc",
    ]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        command = [*apart, sys.executable, "-m", "tests.acceptance"]
        return subprocess.run(command, env={**os.environ, MARK: str(folder)}, check=False).returncode
    finally:
        if keep:
            print(f"kept: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
