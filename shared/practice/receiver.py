"""A practice receiver of webhooks: verifies what comes, remembers it, and misbehaves as it is told.

``python -m shared.practice.receiver`` runs it as a process: it prints its address, then one line of JSON for each call.
How it behaves is a row of words, one a call, the last for all that follow (see `answer_of`):

    500 500 200              fails twice, then takes it
    429:30                   asks to come back in 30 s
    302:http://127.0.0.1/    sends us elsewhere
    410                      is gone
    slow:5                   answers 200 after 5 s
    reset, half, endless     breaks off, without an answer, within one, or never ends it

`GET /practice/calls` tells what came, `POST /practice/behave` with such a row changes how it goes on.
"""

import argparse
import asyncio
import json
import signal
import socket
import ssl
import struct
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from shared.formats.signed import verify

NO_LINGER = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True)
class Call:
    """One request that came. `fault` says what is wrong with its signature, "" if it is right."""

    at: float
    path: str
    headers: dict[str, str]
    body: bytes
    fault: str
    behaviour: str

    @property
    def id(self) -> str:
        return self.headers.get("webhook-id", "")

    def as_json(self) -> dict[str, Any]:
        """For programs, without the body's bytes."""
        kind = json.loads(self.body).get("type", "") if self.body.startswith(b"{") else ""
        return {"id": self.id, "type": kind, "verified": not self.fault, "fault": self.fault, "did": self.behaviour}


@dataclass
class Receiver:
    """What it knows and does. `secrets` are those that calls may be signed with."""

    secrets: list[str] = field(default_factory=list)
    behave: list[str] = field(default_factory=lambda: ["200"])
    clock: Callable[[], float] = time.time
    calls: list[Call] = field(default_factory=list)
    say: Callable[[Call], None] = lambda call: None
    host: str = "127.0.0.1"
    port: int = 0
    scheme: str = "http"
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.host}:{self.port}/"

    async def until(self, calls: int, seconds: float = 30) -> list[Call]:
        """The calls, as soon as there are so many."""
        async with asyncio.timeout(seconds):
            while len(self.calls) < calls:
                self._news.clear()
                await self._news.wait()
        return self.calls

    async def take(self, request: web.Request) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        body = await request.read()
        word = self.behave.pop(0) if len(self.behave) > 1 else self.behave[0]
        call = Call(self.clock(), request.path, headers, body, self._fault(headers, body), word)
        self.calls.append(call)
        self._news.set()
        self.say(call)
        return await answer_of(word, request)

    def _fault(self, headers: dict[str, str], body: bytes) -> str:
        names = ("webhook-id", "webhook-timestamp", "webhook-signature")
        ident, at, signatures = (headers.get(name, "") for name in names)
        faults = [verify(secret, ident, at, signatures, body, self.clock()) for secret in self.secrets]
        return min(faults, key=len, default="no secret is known")

    def application(self) -> web.Application:
        async def calls(request: web.Request) -> web.Response:
            return web.json_response([call.as_json() for call in self.calls])

        async def behave(request: web.Request) -> web.Response:
            self.behave = (await request.text()).split() or ["200"]
            return web.json_response(self.behave)

        app = web.Application()
        app.router.add_get("/practice/calls", calls)
        app.router.add_post("/practice/behave", behave)
        app.router.add_route("*", "/{anything:.*}", self.take)
        return app


async def answer_of(word: str, request: web.Request) -> web.StreamResponse:
    """Do what the word says."""
    kind, _, rest = word.partition(":")
    match kind:
        case "slow":
            await asyncio.sleep(float(rest or 30))
            return web.Response(text="at last\n")
        case "reset":
            return _cut(request)
        case "half" | "endless":
            return await _unended(request, endless=kind == "endless")
        case "429" | "502" | "503" | "504":
            headers = {"Retry-After": rest} if rest else {}
            return web.Response(status=int(kind), text="not now\n", headers=headers)
        case _ if kind.startswith("3"):
            return web.Response(status=int(kind), headers={"Location": rest} if rest else {})
    return web.Response(status=int(kind), text=rest or "as I was told\n")


def _cut(request: web.Request) -> web.Response:
    """Reset the connection."""
    if request.transport is not None:
        request.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
        request.transport.abort()
    return web.Response(status=500)


async def _unended(request: web.Request, *, endless: bool) -> web.StreamResponse:
    response = web.StreamResponse()
    if not endless:
        response.content_length = 1000
    await response.prepare(request)
    await response.write(b"the first half, and ")
    try:
        while endless:
            await response.write(b"more and " * 100)
            await asyncio.sleep(0.01)
    except ConnectionError:
        pass
    if request.transport is not None:
        request.transport.abort()
    return response


@asynccontextmanager
async def receiving(
    receiver: Receiver | None = None, *, port: int = 0, trust: ssl.SSLContext | None = None
) -> AsyncIterator[Receiver]:
    """Listen while the block runs; over TLS with the certificate of `trust`, if one is given."""
    receiver = receiver or Receiver()
    runner = web.AppRunner(receiver.application(), access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    try:
        await web.TCPSite(runner, receiver.host, port, ssl_context=trust).start()
        receiver.port = runner.addresses[0][1]
        receiver.scheme = "https" if trust else "http"
        yield receiver
    finally:
        await runner.cleanup()


def arguments(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m shared.practice.receiver", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("behave", nargs="*", default=["200"], metavar="WORD", help="how it behaves, call by call")
    parser.add_argument("--listen", default="127.0.0.1:0", metavar="HOST:PORT", help="port 0 takes a free one")
    parser.add_argument("--secret", action="append", default=[], help="whsec_…; repeatable")
    return parser.parse_args(words)


async def run(options: argparse.Namespace) -> None:
    host, _, port = options.listen.rpartition(":")
    receiver = Receiver(options.secret, options.behave, host=host or "127.0.0.1", say=_say)
    async with receiving(receiver, port=int(port)):
        print(receiver.url, flush=True)
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        await stop.wait()


def _say(call: Call) -> None:
    print(json.dumps(call.as_json()), flush=True)


if __name__ == "__main__":
    asyncio.run(run(arguments(sys.argv[1:])))
