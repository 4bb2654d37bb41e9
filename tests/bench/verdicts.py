"""How soon an author hears of a series: from `SeriesArrived` to its first check on Patchwork, and to the last of the
static ones, on a whole server that has the kernel's tree.

The server is `netci up`, as an operator starts it, posting to a practice Patchwork. Series of five patches come one
after another; the first finds no work tree and no warm cache, and is told apart. The peers are the limits that we set
ourselves: five seconds to the first, sixty to all, of which the worse is the `ratio`.
"""

import asyncio
import json
import os
import re
import secrets
import shutil
import statistics
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg

from shared.db.embedded import Embedded
from shared.git.store import Store
from shared.model.ids import Sha
from shared.practice.kernel import kernel_store
from shared.practice.patchwork import Served, served
from tests.bench import checks
from tests.bench.apply import Mails, git
from tests.support.rabbitmq import free_port

SERIES, PATCHES = int(os.environ.get("SERIES", "5")), checks.PATCHES
FIRST, ALL = 5.0, 60.0
TOKEN = "BENCH_PATCHWORK_TOKEN"

CONFIG = """
data = "{folder}/data"
[web]
listen = "127.0.0.1:{port}"
[projects.netdev]
post = "on"
[projects.netdev.patchwork]
url = "{patchwork}"
project = "netdevbpf"
token_env = "{token}"
poll = "1s"
[projects.netdev.triage]
ours = ["net/", "drivers/net/"]
[projects.netdev.trees.net-next]
git = "{kernel}"
tags = ["net-next"]
[projects.netdev.checking]
preset = "netdev"
use = [{use}]
"""

ARRIVED = """
select e.logged from floor.events e join ingest.series s on s.message_id = e.body->'data'->>'message_id'
 where e.type like '%series.arrived%' and s.subject like '%series {n}, %'
"""
POSTED = """
select p.context, p.settled from report.posts p
  join ingest.series s on s.id = p.series_id
 where s.subject like '%series {n}, %' and p.status = 'posted' and p.state <> 'pending'
"""
OWN = ("apply", "tree_selection")
"""What is said of a series by others than checks."""


async def make_mails(kernel: Store, base: Sha, folder: Path) -> list[Mails]:
    """Series as a list hands them on, sent just now."""
    made = await checks.make_series(kernel, base, folder)
    return [sent(folder / "maker.git", base, number) for number in range(len(made))]


def sent(repo: Path, base: Sha, number: int) -> Mails:
    """The mails of one series, in a thread, with the fields that Patchwork looks at."""
    nonce, text = secrets.token_hex(4), git(
        repo, "format-patch", "--stdout", "--subject-prefix=PATCH net-next", "--to=netdev@vger.kernel.org",
        "--add-header=List-Id: <netdev.vger.kernel.org>", f"{base}..s{number}",
    )  # fmt: skip
    mails = [b"From " + part for part in (b"\n" + text).split(b"\nFrom ")[1:]]
    return [_threaded(mail, f"{nonce}-{number}", n) for n, mail in enumerate(mails)]


def _threaded(mail: bytes, name: str, n: int) -> bytes:
    now = datetime.now(UTC).strftime("%a, %d %b %Y %H:%M:%S +0000")
    mail = re.sub(rb"(?m)^Date: .*$", f"Date: {now}".encode(), mail, count=1)
    first = f"<{name}-0@example.com>"
    lines = f"Message-Id: <{name}-{n}@example.com>\n" + (f"In-Reply-To: {first}\nReferences: {first}\n" if n else "")
    return re.sub(rb"(?m)^Subject: ", lines.encode() + b"Subject: ", mail, count=1)


@asynccontextmanager
async def up(config: Path, port: int) -> AsyncIterator[None]:
    """The server as a process of its own, ready."""
    log = config.with_suffix(".log")
    with log.open("wb") as out:
        server = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "services", "--config", str(config), "--log", "info", "up",
            stdout=out, stderr=out, cwd=Path(__file__).parents[2],
        )  # fmt: skip
    try:
        async with asyncio.timeout(180), aiohttp.ClientSession() as http:
            while not await _ready(http, f"http://127.0.0.1:{port}/readyz"):
                assert server.returncode is None, log.read_text("utf-8")[-3000:]
                await asyncio.sleep(0.2)
        yield
    finally:
        if server.returncode is None:
            server.terminate()
        await asyncio.wait_for(server.wait(), 60)


async def _ready(http: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with http.get(url) as answer:
            return answer.status == 200
    except aiohttp.ClientError:
        return False


async def one(site: Served, owner: "asyncpg.Connection[Any]", mails: Mails, n: int, wanted: int) -> tuple[float, float]:
    """Seconds from the arrival of series `n` to the first and to the last of `wanted` answers on Patchwork."""
    for mail in mails:
        site.submit(mail)
    async with asyncio.timeout(900):
        while True:
            rows = [row for row in await owner.fetch(POSTED.format(n=n)) if row["context"] not in OWN]
            if len({row["context"] for row in rows}) >= wanted and len(rows) >= wanted * PATCHES:
                break
            await asyncio.sleep(0.1)
    arrived = await owner.fetchval(ARRIVED.format(n=n))
    ends = sorted((row["settled"] - arrived).total_seconds() for row in rows)
    return ends[0], ends[-1]


async def measure() -> dict[str, object]:
    kernel, base = await kernel_store()
    use = [check.name for check in checks.static()]
    folder = Path(tempfile.mkdtemp(prefix="netci-bench-", dir="/var/tmp"))
    folder.chmod(0o711)
    try:
        made = await make_mails(kernel, base, folder)
        async with served() as site:
            port, config = free_port(), folder / "netci.toml"
            os.environ[TOKEN] = site.token("nipa-bot")
            config.write_text(CONFIG.format(
                folder=folder, port=port, patchwork=site.url, token=TOKEN, kernel=kernel.path,
                use=", ".join(f'"{name}"' for name in use),
            ))  # fmt: skip
            async with up(config, port):
                owner = await asyncpg.connect(Embedded(folder / "data").dsn)
                try:
                    took = [await one(site, owner, mails, n, len(use)) for n, mails in enumerate(made[:SERIES])]
                finally:
                    await owner.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return answer(took, len(use))


def answer(took: list[tuple[float, float]], names: int) -> dict[str, object]:
    """Of the series after the first, the median."""
    first, last = (statistics.median(pair[i] for pair in took[1:]) for i in (0, 1))
    ratio = min(FIRST / first, ALL / last)
    return {
        "bench": "verdicts", "ours": round(last, 2), "peer": ALL, "ratio": round(ratio, 2), "unit": "s",
        "first": round(first, 2), "first_limit": FIRST, "cold": [round(one, 2) for one in took[0]],
        "series": len(took), "patches": PATCHES, "checks": names,
    }  # fmt: skip


def main() -> None:
    """Print what was measured as JSON."""
    print(json.dumps(asyncio.run(measure())))


if __name__ == "__main__":
    main()
