"""docs/how-to/run-a-remote.md, followed to the letter against `make demo`: every block of shell, in its order."""

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from tests.e2e.programs import ROOT, free_listen
from tests.support.programs import program

pytestmark = [pytest.mark.slow, pytest.mark.timeout(700)]

PAGE = ROOT / "docs/how-to/run-a-remote.md"


def blocks() -> list[str]:
    return re.findall(r"^```sh\n(.*?)^```", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)


def script() -> str:
    """All blocks in one shell, which ends at the first word that fails and says in which block."""
    return "set -eu\n" + "".join(f"echo '--- block {n}' >&2\n{block}" for n, block in enumerate(blocks(), 1))


def programs(folder: Path) -> str:
    """A folder for PATH with what a reader's shell has: netci of this checkout, and a Python with its packages."""
    folder.mkdir()
    for name, words in (("netci", "-m services "), ("python3", "")):
        # A link to Python would not find what is installed beside it.
        (folder / name).write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" {words}"$@"\n')
        (folder / name).chmod(0o755)
    program("curl")
    return f"{folder}:{os.environ['PATH']}"


@asynccontextmanager
async def demo(listen: str, link: Path, log: Path) -> AsyncIterator[None]:
    """The demo as `make demo` starts it, once it has played and stays up."""
    words = ("--log", "warning", "demo", "--seed", "0", "--listen", listen, "--link", str(link))
    with log.open("wb") as out:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "services", *words, stdout=out, stderr=out, stdin=asyncio.subprocess.DEVNULL,
            cwd=ROOT,
        )  # fmt: skip
    try:
        async with asyncio.timeout(300):
            while "It stays up" not in log.read_text(errors="replace"):
                assert process.returncode is None, log.read_text(errors="replace")[-3000:]
                await asyncio.sleep(0.5)
        yield
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(process.wait(), 60)


async def followed(folder: Path, env: dict[str, str]) -> tuple[int, str]:
    """Do what the page says, in `folder`. Its own processes end with it, whatever happens."""
    process = await asyncio.create_subprocess_exec(
        "sh", "-c", script(), cwd=folder, env=env, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT, start_new_session=True,
    )  # fmt: skip
    try:
        async with asyncio.timeout(300):
            out, _ = await process.communicate()
        return process.returncode or 0, out.decode(errors="replace")
    except TimeoutError:
        return -1, "it did not come to its end"
    finally:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


async def test_the_page_is_true(tmp_path: Path) -> None:
    listen, link = free_listen(), tmp_path / "demo"
    env = os.environ | {"NETCI": f"http://{listen}", "NETCI_CONFIG": str(link / "netci.toml")}
    async with demo(listen, link, tmp_path / "demo.log"):
        code, said = await followed(tmp_path, env | {"PATH": programs(tmp_path / "bin")})
        assert code == 0, said[-4000:] + _tail(tmp_path)
        lab = tmp_path / "my-lab"
        assert "this lab keeps the contract" in said
        assert '"type":"dev.netci.branch.cut.v1"' in (lab / "event.json").read_text().replace(" ", "")
        heard = (lab / "heard.txt").read_text()
        assert re.search(r"^verified \S*ping", heard, re.MULTILINE)
        assert re.search(r"^verified dev\.netci\.run\.done\.v1", heard, re.MULTILINE)
        await check_page(f"http://{listen}")


def _tail(folder: Path) -> str:
    log = folder / "demo" / "netci.log"
    return log.read_text(errors="replace")[-3000:] if log.exists() else ""


async def check_page(base: str) -> None:
    """Green rows of the guest's executors, as a person sees them; on Patchwork nothing of it."""
    async with aiohttp.ClientSession() as http:
        async with http.get(f"{base}/contest?remote=guest") as answer:
            page = await answer.text()
        async with http.get(f"{base}/api/v1/contest?remote=guest") as answer:
            rows = (await answer.json())["rows"]
    for executor in ("lab-net", "smoke", "smoke-ktap", "smoke-again"):
        assert executor in page
        assert "pass" in {row["result"] for row in rows if row["executor"] == executor}
