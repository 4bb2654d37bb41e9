"""The real proxy program with the shipped configuration; only the two files of addresses are written anew."""

import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.programs import program
from tests.support.rabbitmq import free_port

SHIPPED = Path(__file__).resolve().parents[2] / "config" / "nginx" / "nginx.conf"


@contextmanager
def proxy(ingest: str, report: str) -> Iterator[str]:
    """Serve on loopback in front of the two addresses (``host:port``); yields the URL."""
    folder = Path(tempfile.mkdtemp(prefix="netci-nginx-", dir="/var/tmp"))
    folder.chmod(0o711)  # started by root its workers are nobody, and bodies go to files below
    port = free_port()
    shutil.copy(SHIPPED, folder / "nginx.conf")
    (folder / "upstreams.conf").write_text(
        f"upstream ingest {{ server {ingest}; }}\nupstream report {{ server {report}; }}\n"
    )
    (folder / "listen.conf").write_text(f"listen 127.0.0.1:{port};\n")
    try:
        with (folder / "out").open("wb") as out:
            process = subprocess.Popen(
                [program("nginx"), "-p", str(folder), "-c", str(folder / "nginx.conf"), "-g", "daemon off;"],
                stdout=out, stderr=out, stdin=subprocess.DEVNULL,
            )  # fmt: skip
        try:
            _wait(process, port, folder / "out")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(10)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _wait(process: "subprocess.Popen[bytes]", port: int, out: Path) -> None:
    until = time.monotonic() + 15
    while True:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=2)
        except urllib.error.HTTPError:
            return
        except OSError:
            if process.poll() is not None or time.monotonic() > until:
                raise AssertionError(f"nginx did not start: {out.read_text(errors='replace')[-2000:]}") from None
            time.sleep(0.05)
