"""A practice remote in NIPA's shape: files in a folder, and a static server that can misbehave.

``python -m shared.practice.nipa_remote --follow http://127.0.0.1:8080/branches.json`` plays a lab beside a running
netci: it takes each newest branch as NIPA's programs do, says that it is running, and publishes made-up results.
"""

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from aiohttp import web

from shared.errors import NetciError
from shared.http import client

MANIFEST = "results.json"
KEPT = 500
KINDS = ("status", "html", "truncated", "huge", "slow", "shuffled", "moved")


@dataclass(slots=True)
class Misbehaviour:
    """One fault, for all files whose names hold `name`, until `calm`.

    status: answer `status`. html: a page for humans. truncated: half of the file, as one that is being written.
    huge: `size` bytes without an end in sight. slow: nothing for `delay` seconds. shuffled: a manifest in another
    order. moved: a redirect to `where`.
    """

    kind: str
    name: str = ""
    status: int = 500
    size: int = 1 << 30
    delay: float = 3600.0
    where: str = ""


@dataclass
class NipaRemote:
    """The folder of a remote, and the server over it. `asked` counts requests by file name and status."""

    folder: Path
    url: str = ""
    faults: list[Misbehaviour] = field(default_factory=list)
    asked: Counter[tuple[str, int]] = field(default_factory=Counter)

    @property
    def manifest(self) -> str:
        return f"{self.url}/{MANIFEST}"

    def misbehave(self, kind: str, **more: Any) -> None:
        if kind not in KINDS:
            raise ValueError(f"no misbehaviour {kind}; there are: {', '.join(KINDS)}")
        self.faults.append(Misbehaviour(kind, **more))

    def calm(self) -> None:
        self.faults.clear()

    def entries(self) -> list[dict[str, Any]]:
        path = self.folder / MANIFEST
        return list(json.loads(path.read_text("utf-8"))) if path.exists() else []

    def list_as(self, entries: Sequence[Mapping[str, Any]]) -> None:
        """Write the manifest."""
        self.write(MANIFEST, json.dumps(list(entries)[-KEPT:]))

    def running(self, executor: str, branch: str) -> None:
        """Say that a run has begun."""
        self._set(executor, branch, None)

    def finished(self, run: Mapping[str, Any], name: str = "") -> str:
        """Publish a run's file and say where it is; gives that address."""
        name = name or f"results-{run['executor']}-{run['branch']}.json"
        self.write(name, json.dumps(run))
        self._set(run["executor"], run["branch"], f"{self.url}/{name}")
        return f"{self.url}/{name}"

    def forget(self, executor: str, branch: str) -> None:
        """Leave a run out of the manifest."""
        self.list_as([e for e in self.entries() if (e["executor"], e["branch"]) != (executor, branch)])

    def _set(self, executor: str, branch: str, url: str | None) -> None:
        entries = self.entries()
        mine = [e for e in entries if (e["executor"], e["branch"]) == (executor, branch)]
        for entry in mine:
            entry["url"] = url
        self.list_as(entries if mine else [*entries, {"url": url, "branch": branch, "executor": executor}])

    def write(self, name: str, text: str) -> None:
        """Write a file so that no reader sees half of it, with a time of its own: servers tell files apart by it."""
        made = self.folder / f".{name}"
        made.write_text(text, "utf-8")
        made.replace(self.folder / name)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        name = request.path.lstrip("/")
        path = self.folder / name
        fault = next((fault for fault in self.faults if fault.name in name), None)
        if "/" in name or not path.is_file():
            return web.Response(status=404, text="404 Not Found")
        if fault is None:
            return web.FileResponse(path, headers={"Content-Type": "application/json"})
        return await _wrong(request, fault, path.read_text("utf-8"))

    async def count(self, request: web.Request, answer: web.StreamResponse) -> None:
        self.asked[request.path.lstrip("/"), answer.status] += 1


async def _wrong(request: web.Request, fault: Misbehaviour, text: str) -> web.StreamResponse:
    match fault.kind:
        case "status":
            return web.Response(status=fault.status, text="<html><h1>It broke</h1></html>", content_type="text/html")
        case "html":
            return web.Response(text="<!doctype html><title>We are moving</title>", content_type="text/html")
        case "truncated":
            return web.Response(text=text[: len(text) // 2], content_type="application/json")
        case "shuffled":
            return web.Response(text=_shuffled(text), content_type="application/json")
        case "moved":
            return web.Response(status=302, headers={"Location": fault.where})
        case "slow":
            await asyncio.sleep(fault.delay)
            return web.Response(text=text, content_type="application/json")
        case _:
            return await _huge(request, fault.size)


def _shuffled(text: str) -> str:
    entries = json.loads(text)
    random.shuffle(entries)
    return json.dumps(entries)


async def _huge(request: web.Request, size: int) -> web.StreamResponse:
    answer = web.StreamResponse(headers={"Content-Type": "application/json"})
    await answer.prepare(request)
    await answer.write(b"[")
    for _ in range(size >> 16):
        await answer.write(b'"x",' * (1 << 14))
    return answer


def a_run(executor: str, branch: str, results: Sequence[Mapping[str, Any]], **more: Any) -> dict[str, Any]:
    """The file of a run of two minutes that has just ended."""
    end = datetime.now(UTC)
    return {
        "executor": executor, "branch": branch, "start": str(end - timedelta(minutes=2)), "end": str(end),
        "results": list(results), **more,
    }  # fmt: skip


@asynccontextmanager
async def served_remote(folder: Path, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[NipaRemote]:
    """Serve `folder` while the block runs; it begins with an empty manifest if it has none."""
    remote = NipaRemote(folder)
    app = web.Application()
    app.router.add_get("/{name:.*}", remote.handle)
    app.on_response_prepare.append(remote.count)
    runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        await site.start()
        remote.url = f"http://{host}:{runner.addresses[0][1]}"
        if not (folder / MANIFEST).exists():
            remote.list_as([])
        yield remote
    finally:
        await runner.cleanup()


def made_up(chance: random.Random) -> list[dict[str, Any]]:
    """Results as a lab's network card gives them: mostly good, sometimes with a retry."""
    rows: list[dict[str, Any]] = []
    for test in ("ping.py", "stats.py", "queues.py", "tso.py", "xdp.py"):
        row = {
            "test": test,
            "group": "selftests-drivers-net",
            "result": "pass",
            "time": round(chance.uniform(1, 40), 1),
        }
        if chance.random() < 0.1:
            row |= {"result": "fail", "retry": chance.choice(("pass", "fail"))}
        rows.append(row)
    return rows


@dataclass
class Player:
    """Plays the lab: the newest branch it has not seen, begun, tested for a while, published."""

    remote: NipaRemote
    follow: str
    executors: Sequence[str]
    takes: float
    say: Callable[[str], None]
    last: datetime = field(default_factory=lambda: datetime.now(UTC) - timedelta(weeks=1))

    async def run(self, every: float) -> None:
        async with client("branches") as http:
            while True:
                try:
                    listed = json.loads((await http.request("GET", self.follow)).body)
                    await self._newest(listed)
                except (NetciError, ValueError) as exc:
                    self.say(f"no branches: {exc}")
                await asyncio.sleep(every)

    async def _newest(self, listed: Sequence[Mapping[str, str]]) -> None:
        dated = [(datetime.fromisoformat(branch["date"]), branch["branch"]) for branch in listed]
        when, branch = max(dated, default=(self.last, ""))
        if when <= self.last:
            return
        self.last = when
        for executor in self.executors:
            self.remote.running(executor, branch)
        self.say(f"testing {branch}")
        await asyncio.sleep(self.takes)
        for executor in self.executors:
            self.remote.finished(
                a_run(executor, branch, made_up(random.Random(f"{executor} {branch}")), device='{"nic": "practice"}')
            )
        self.say(f"published {branch}")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m shared.practice.nipa_remote", description=__doc__)
    parser.add_argument("--listen", default="127.0.0.1:0", metavar="HOST:PORT", help="port 0 takes a free one")
    parser.add_argument("--folder", type=Path, help="where the files are; default: a new one")
    parser.add_argument("--follow", default="", metavar="URL", help="a branches.json to play a lab for")
    parser.add_argument("--executor", action="append", default=[], metavar="NAME", help="may be repeated")
    parser.add_argument("--takes", type=float, default=10.0, metavar="SECONDS", help="of one run")
    parser.add_argument("--every", type=float, default=5.0, metavar="SECONDS", help="between looks at the branches")
    parser.add_argument("--fault", default="", choices=("", *KINDS), help="misbehave from the beginning")
    asyncio.run(_play(parser.parse_args()))


async def _play(options: argparse.Namespace) -> None:
    host, _, port = options.listen.rpartition(":")
    folder = options.folder or Path(tempfile.mkdtemp(prefix="netci-remote-"))
    async with served_remote(folder, host or "127.0.0.1", int(port)) as remote:
        _say(f"manifest {remote.manifest}")
        if options.fault:
            remote.misbehave(options.fault)
        if options.follow:
            executors = options.executor or ["practice-nic", "practice-vm"]
            await Player(remote, options.follow, executors, options.takes, _say).run(options.every)
        await asyncio.Event().wait()


def _say(text: str) -> None:
    print(time.strftime("%H:%M:%S"), text)
    sys.stdout.flush()


if __name__ == "__main__":
    main()
