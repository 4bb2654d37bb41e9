"""Addresses of pull requests that nobody must follow, and a server that says whether somebody did."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from tests.e2e.hostile import CANARY

KERNEL = "git.kernel.org/pub/scm/linux/kernel/git/"


@dataclass(slots=True)
class Trap:
    """A server that takes every connection, never stops sending, and counts."""

    port: int = 0
    visits: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.visits += 1
        try:
            while True:
                writer.write(b"0" * 65536)
                await writer.drain()
        except (ConnectionError, asyncio.CancelledError):
            writer.close()


@asynccontextmanager
async def trap() -> AsyncIterator[Trap]:
    """The trap on loopback, while the block runs."""
    one = Trap()
    server = await asyncio.start_server(one.serve, "127.0.0.1", 0)
    one.port = server.sockets[0].getsockname()[1]
    try:
        yield one
    finally:
        server.close()


def allowed(port: int) -> list[str]:
    """The project's list, with places on it that are private: being on the list makes no address public."""
    hosts = ["127.0.0.1", "localhost", "10.0.0.1", "169.254.169.254", "0.0.0.0", "2130706433"]
    return [KERNEL, *(f"{host}/" for host in hosts), *(f"{host}:{port}/" for host in hosts)]


def addresses(port: int) -> dict[str, tuple[str, str]]:
    """By name: what Patchwork says the pull address is, and what the page must answer."""
    good = f"https://{KERNEL}eve/net.git"
    private, no_address = "private network", "no address of a repository|no plain address|does not parse"
    return {
        "option": (f"--upload-pack=touch\u00a0/var/tmp/{CANARY} main", no_address),
        "option-with-blank": (f"--upload-pack=touch /var/tmp/{CANARY}", no_address),
        "option-as-ref": (f"{good} --upload-pack=touch${{IFS}}/var/tmp/{CANARY}", "well-formed ref"),
        "force-as-ref": (f"{good} +refs/heads/*:refs/heads/*", "well-formed ref"),
        "ref-with-dots": (f"{good} ../../{CANARY}", "well-formed ref|not a (valid|good) ref|ref"),
        "file": (f"file:///var/tmp/{CANARY} main", no_address),
        "bare-path": (f"/var/tmp/{CANARY} main", no_address),
        "ssh": (f"ssh://127.0.0.1:{port}/net.git main", no_address),
        "scp-like": ("git@127.0.0.1:net.git main", no_address),
        "ssh-option": (f"ssh://-oProxyCommand=touch${{IFS}}{CANARY}/x main", no_address),
        "ext": (f"ext::sh -c touch% /var/tmp/{CANARY} main", no_address),
        "plain-http": (f"http://127.0.0.1:{port}/net.git main", no_address),
        "with-user": (f"https://git.kernel.org@127.0.0.1:{port}/net.git main", no_address),
        "loopback": (f"https://127.0.0.1:{port}/net.git main", private),
        "loopback-git": (f"git://127.0.0.1:{port}/net.git main", private),
        "loopback-by-name": (f"https://localhost:{port}/net.git main", private),
        "loopback-as-number": (f"https://2130706433:{port}/net.git main", private),
        "any-address": (f"https://0.0.0.0:{port}/net.git main", private),
        "ten": ("https://10.0.0.1/net.git main", private),
        "link-local": ("https://169.254.169.254/latest/meta-data main", private),
        "mapped": (f"https://[::ffff:127.0.0.1]:{port}/net.git main", no_address),
        "six": (f"https://[::1]:{port}/net.git main", no_address),
        "not-on-the-list": ("https://evil.example/net.git main", "not on the project's list"),
        "beside-the-list": (
            "https://git.kernel.org/pub/scm/linux/kernel/git-evil/net.git main",
            "not on the project's",
        ),
        "out-of-the-list": (f"https://{KERNEL}../../../../evil/net.git main", "no plain address"),
    }
