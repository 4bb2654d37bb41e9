"""An application of ours before it has pages: liveness, readiness, metrics, errors, limits, one log line a request.

Rooms add routes to what `make_app` gives and hand it to `listen`. Knows nothing of what is served.
"""

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Any, Never, Protocol

import structlog
from aiohttp import web

from shared.errors import Refused, Transient
from shared.formats.clean import plain
from shared.metrics import exposition
from shared.web.client import TRUSTED, address_of, networks
from shared.web.errors import answer_errors
from shared.web.headers import conditional, secure
from shared.web.rates import Rates

log = structlog.get_logger(__name__)

BODY_LIMIT = 1 << 20
TIME_LIMIT = 30.0
"""Seconds that an ordinary request may take. Those that wait on purpose are in `PATIENT`."""


class Ready(Protocol):
    """Which rooms of this process do not take part; `shared.service.Readiness` is one."""

    @property
    def missing(self) -> list[str]: ...


READY: web.AppKey[Callable[[], list[str]]] = web.AppKey("ready")
PATIENT = web.AppKey("patient", set[Any])
"""Handlers without a time limit: streams and long polls, which end by themselves."""


@web.middleware
async def one_line(request: web.Request, handler: Callable[..., Any]) -> web.StreamResponse:
    """The canonical line of a request."""
    began = time.monotonic()
    status = 499
    try:
        response: web.StreamResponse = await handler(request)
        status = response.status
        return response
    finally:
        say = log.debug if request.path in ("/healthz", "/readyz", "/metrics") else log.info
        took = round((time.monotonic() - began) * 1000, 1)
        say(
            "request",
            method=request.method,
            path=plain(request.path)[:300],
            status=status,
            ms=took,
            client=address_of(request),
        )


@web.middleware
async def in_time(request: web.Request, handler: Callable[..., Any]) -> web.StreamResponse:
    """Bound what an ordinary request may take, reading its body included."""
    if request.match_info.handler in request.app[PATIENT]:
        return await handler(request)  # type: ignore[no-any-return]
    try:
        async with asyncio.timeout(TIME_LIMIT) as limit:
            return await handler(request)  # type: ignore[no-any-return]
    except TimeoutError as exc:
        if not limit.expired():
            raise
        raise Transient(f"this took over {TIME_LIMIT:.0f} s and was given up") from exc


@web.middleware
async def storable(request: web.Request, handler: Callable[..., Any]) -> web.StreamResponse:
    """Refuse what the database could not even be asked for: nothing there has a NUL in its name."""
    if "\0" in request.path or any("\0" in value for value in request.query.values()):
        raise Refused("there is no name with a NUL in it")
    return await handler(request)  # type: ignore[no-any-return]


async def healthz(request: web.Request) -> web.Response:
    """The process is alive. Asks nothing of anybody, so that a database outage does not restart us."""
    return web.Response(text="ok\n")


async def readyz(request: web.Request) -> web.Response:
    """200 when every room takes part, else 503 and their names."""
    missing = request.app[READY]() if READY in request.app else []
    return web.json_response({"ready": not missing, "missing": missing}, status=503 if missing else 200)


async def metrics(request: web.Request) -> web.Response:
    body = await asyncio.to_thread(exposition)
    return web.Response(body=body, headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})


def make_app(
    *, ready: Ready | None = None, trusted: Iterable[str] = (), body_limit: int = BODY_LIMIT, rates: Rates | None = None
) -> web.Application:
    """The bare application. `trusted` are proxies whose forwarded address is believed; `body_limit` is in bytes."""
    limits = [rates.middleware] if rates is not None else []
    app = web.Application(
        middlewares=[one_line, *limits, conditional, answer_errors, storable, in_time], client_max_size=body_limit
    )
    app[TRUSTED] = networks(trusted)
    app[PATIENT] = set()
    if ready is not None:
        app[READY] = lambda: ready.missing
    app.on_response_prepare.append(secure)
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/metrics", metrics)
    return app


def split_listen(address: str) -> tuple[str, int]:
    """``127.0.0.1:8080``, ``[::]:8080`` or ``:8080`` as host and port."""
    host, _, port = address.rpartition(":")
    return host.strip("[]") or "0.0.0.0", int(port)


async def listen(app: web.Application, address: str, ready: Callable[[], None] | None = None) -> Never:
    """Serve `app` on `address` until cancelled; calls `ready` once it listens. Raises OSError if it can't.

    On cancel the listening socket closes first, then whoever waits is told to go (`on_shutdown`), and what has not
    ended half a second later is cut off.
    """
    runner = web.AppRunner(
        app,
        access_log=None,
        # What comes packed is unpacked by who reads it, within its own limit.
        auto_decompress=False,
        handler_cancellation=True,
        shutdown_timeout=0.5,
        keepalive_timeout=30,
        max_line_size=8190,
        max_field_size=8190,
    )
    await runner.setup()
    try:
        host, port = split_listen(address)
        await web.TCPSite(runner, host, port, backlog=512).start()
        log.info("listening", address=address)
        if ready is not None:
            ready()
        await asyncio.Event().wait()
        raise AssertionError("nobody sets that")
    finally:
        await runner.cleanup()
