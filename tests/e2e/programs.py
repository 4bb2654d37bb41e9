"""netci as a program that a user starts: run to its end, or left running."""

import asyncio
import os
import socket
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def free_listen() -> str:
    """A loopback address that nobody listens on just now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{one.getsockname()[1]}"


@dataclass(frozen=True, slots=True)
class Ended:
    """What a program said, both streams apart, and the code it ended with."""

    code: int
    out: str
    err: str


async def started(*words: str, env: Mapping[str, str] | None = None, cwd: Path = ROOT) -> asyncio.subprocess.Process:
    """`netci WORDS`, with pipes to hear it."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **(env or {})}
    environment.pop("NETCI_CONFIG", None)
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services", *words, env=environment, cwd=cwd, stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip


async def netci(*words: str, patience: float = 60, env: Mapping[str, str] | None = None, cwd: Path = ROOT) -> Ended:
    """Run `netci WORDS` to its end, `patience` seconds at most."""
    process = await started(*words, env=env, cwd=cwd)
    try:
        async with asyncio.timeout(patience):
            out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return Ended(process.returncode or 0, out.decode(), err.decode())


async def until(done: Callable[[], bool], what: str, patience: float = 60) -> None:
    """Wait until a server in this process shows it. Fails with `what`."""
    try:
        async with asyncio.timeout(patience):
            while not done():
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise AssertionError(f"after {patience:g} s it is still not so that {what}") from None
