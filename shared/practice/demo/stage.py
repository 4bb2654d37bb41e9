"""The demo's stage: practice Patchwork, tree and hosts in this process, netci as the program that users run."""

import asyncio
import base64
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from shared.errors import InfraError, Transient
from shared.http import Http, client
from shared.practice.config import GUEST, Tables, for_a_guest, on_practice_servers, toml
from shared.practice.hosts import Fleet, served_hosts
from shared.practice.patchwork import Served, served
from shared.practice.world_series import World, write


@dataclass
class Stage:
    """Everything that takes part. `netci` is the running program."""

    folder: Path
    world: World
    patchwork: Served
    fleet: Fleet
    http: Http
    netci: "subprocess.Popen[bytes]"

    @property
    def config(self) -> Path:
        return self.folder / "netci.toml"

    async def command(self, *words: str) -> str:
        """Run `netci WORDS` as a user would. Raises InfraError with what it said if it fails."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "services", "--config", str(self.config), "--log", "warning", *words,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=_root(),
        )  # fmt: skip
        async with asyncio.timeout(60):
            out, _ = await process.communicate()
        if process.returncode:
            raise InfraError(f"netci {' '.join(words)}: {out.decode(errors='replace')}")
        return out.decode(errors="replace")

    def log_tail(self, lines: int = 30) -> str:
        text = (self.folder / "netci.log").read_text(errors="replace")
        return "\n".join(text.splitlines()[-lines:])


def _root() -> Path:
    return Path(__file__).resolve().parents[3]


def _as_it_is(tables: Tables) -> None:
    """The configuration as the stage makes it."""


def _nothing_more(world: World) -> None:
    """The world as the seed made it."""


@asynccontextmanager
async def staged(
    seed: int,
    listen: str,
    keep: bool = False,
    *,
    adapt: Callable[[Tables], None] = _as_it_is,
    prepare: Callable[[World], None] = _nothing_more,
) -> AsyncIterator[Stage]:
    """Set the stage and clear it away; with `keep` the folder stays.

    `adapt` may change the tables of the configuration; `prepare` may do something to the tree before netci first
    sees it.
    """
    folder = Path(tempfile.mkdtemp(prefix="netci-demo-", dir="/var/tmp"))
    folder.chmod(0o711)
    try:
        async with AsyncExitStack() as stack:
            world = await asyncio.to_thread(write, folder / "world", seed)
            prepare(world)
            patchwork = await stack.enter_async_context(served())
            fleet = await stack.enter_async_context(served_hosts(2, folder / "hosts"))
            guest = await stack.enter_async_context(served_hosts(1, folder / "guest"))
            (folder / "lab.toml").write_text(toml(for_a_guest(listen, guest)))
            tables = _configured(folder, world, patchwork, fleet, listen)
            adapt(tables)
            (folder / "netci.toml").write_text(toml(tables))
            netci = await stack.enter_async_context(_program(folder, patchwork))
            http = await stack.enter_async_context(client("demo", f"http://{listen}", timeout=20))
            stage = Stage(folder, world, patchwork, fleet, http, netci)
            await _ready(stage)
            yield stage
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)


def _configured(folder: Path, world: World, patchwork: Served, fleet: Fleet, listen: str) -> Tables:
    testing = folder / "testing.git"
    subprocess.run(["git", "init", "-q", "--bare", str(testing)], check=True, timeout=30)
    tables = {
        "data": str(folder / "data"),
        "web": {"listen": listen, "public_url": f"http://{listen}"},
        **on_practice_servers(
            patchwork=patchwork.url,
            tree=world.tree.url,
            fleet=fleet,
            push=f"file://{testing}",
            public=f"file://{testing}",
        ),
    }
    return tables | _open_to_guests(folder, tables)


def _open_to_guests(folder: Path, tables: Tables) -> Tables:
    """What lets the reader of docs/how-to/run-a-remote.md take part. Receivers of webhooks on this machine may be told:
    ``python -m shared.practice.receiver`` is one.
    """
    key = folder / "webhooks.key"
    key.touch(mode=0o600)
    key.write_bytes(base64.b64encode(os.urandom(32)))
    return {
        "remotes": [*tables["remotes"], {"name": GUEST}],
        "outgoing": {"allow_private": ["127.0.0.0/8"]},
        "webhooks": {"key_file": str(key)},
    }


@asynccontextmanager
async def _program(folder: Path, patchwork: Served) -> AsyncIterator["subprocess.Popen[bytes]"]:
    """`netci up`, its log in the folder; ended by SIGTERM."""
    environment = os.environ | {"NETCI_PATCHWORK_TOKEN": patchwork.token("nipa-bot")}
    (folder / "data").mkdir(mode=0o711)
    with (folder / "netci.log").open("ab") as out:
        process = subprocess.Popen(  # noqa: ASYNC220  it takes milliseconds, and the loop has nothing else to do
            [sys.executable, "-m", "services", "--config", str(folder / "netci.toml"), "up"],
            stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=environment, cwd=_root(),
        )  # fmt: skip
    try:
        yield process
    finally:
        process.terminate()
        try:
            await asyncio.to_thread(process.wait, 20)
        except subprocess.TimeoutExpired:
            process.kill()
            await asyncio.to_thread(process.wait)


async def _ready(stage: Stage) -> None:
    for _ in range(300):
        if stage.netci.poll() is not None:
            raise InfraError(f"netci ended at once:\n{stage.log_tail()}")
        try:
            if (await stage.http.request("GET", "/readyz")).status == 200:
                return
        except Transient:
            pass
        await asyncio.sleep(0.2)
    raise InfraError(f"netci did not get ready within 60 s:\n{stage.log_tail()}")
