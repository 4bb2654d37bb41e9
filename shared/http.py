"""HTTP to the outside. The only module that knows the client library, so that changing it is one import.

Every request has a timeout and a bound on what it reads; what went wrong becomes `Transient` (try again),
`Refused` (final) or `Missing`. No request is repeated here: the caller knows whether that is safe.
"""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from shared.errors import Transient
from shared.formats.retry_after import seconds_asked
from shared.metrics import OUTSIDE, OUTSIDE_SECONDS

BODY_LIMIT = 64 << 20
BEGINNING = 2.0
"""Seconds for the beginning of a body, where only that is wanted."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer: status, headers with lower-case names, body. `kind` is the media type alone."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def kind(self) -> str:
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    def retry_after(self, most: float) -> float | None:
        """Seconds that the server asks us to wait, `most` if it asks for more; None if it names none, or a date."""
        return seconds_asked(self.headers.get("retry-after", ""), most)

    def text(self) -> str:
        return self.body.decode("utf-8", "replace")


class Unsent(Transient):
    """The request certainly did not reach the other side."""


class Unsure(Transient):
    """Whether the request took effect is not known: ask before repeating it."""


class Http:
    """A client for one outside service. `name` labels its metrics; `timeout` in seconds bounds a whole request."""

    def __init__(
        self,
        name: str,
        base: str = "",
        *,
        headers: Mapping[str, str] | None = None,
        timeout: float = 60,
        connections: int = 8,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        """`trust` says whose certificates are believed, if not only the public ones."""
        self.name = name
        self._timeout = timeout
        self._client = httpx.AsyncClient(
            base_url=base,
            headers=dict(headers or {}),
            timeout=httpx.Timeout(timeout, connect=min(10, timeout)),
            limits=httpx.Limits(max_connections=connections, max_keepalive_connections=connections),
            verify=trust or True,
            follow_redirects=False,
            trust_env=False,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()

    async def request(
        self,
        method: str,
        url: str,
        *,
        params: Any = None,
        json: Any = None,
        form: Mapping[str, str] | None = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        limit: int = BODY_LIMIT,
        pin: str = "",
    ) -> Answer:
        """One request, redirects not followed. Raises Unsent, Unsure or Transient (a GET that failed).

        `pin` is the address to connect to, whatever the URL's host resolves to by now; the host stays the name that is
        asked for, and that the certificate must have.
        """
        return await self._told(self._send(method, url, params, json, form, content, headers, limit, pin))

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], *, most: int, pin: str) -> Answer:
        """POST bytes, and of the answer's body read `most` bytes, as they come over the wire, and not for long."""
        return await self._told(self._post(url, body, headers, most, pin))

    async def _told(self, act: Awaitable[Answer]) -> Answer:
        """Do it in time; say in our errors and in metrics how it ended."""
        start = time.monotonic()
        try:
            async with asyncio.timeout(self._timeout):
                answer = await act
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as exc:
            OUTSIDE.labels(self.name, "unsent").inc()
            raise Unsent(f"{self.name} cannot be reached: {exc or type(exc).__name__}") from exc
        except (httpx.HTTPError, TimeoutError) as exc:
            OUTSIDE.labels(self.name, "broken").inc()
            raise Unsure(f"{self.name} broke off: {exc or type(exc).__name__}") from exc
        finally:
            OUTSIDE_SECONDS.labels(self.name).observe(time.monotonic() - start)
        OUTSIDE.labels(self.name, str(answer.status)).inc()
        return answer

    async def chunks(
        self, url: str, *, params: Any = None, headers: Mapping[str, str] | None = None, silence: float = 60
    ) -> AsyncIterator[bytes]:
        """The body of an answer that need not end, as it comes; Transient when it breaks off or `silence` seconds
        bring nothing, or (with the hint `status`) when the answer is no 200. The stream's end is no error.
        """
        limits = httpx.Timeout(self._timeout, connect=min(10, self._timeout), read=silence)
        try:
            async with self._client.stream(
                "GET", url, params=params, headers=dict(headers or {}), timeout=limits
            ) as response:
                if response.status_code != 200:
                    raise Transient(
                        f"{self.name} answered {response.status_code}", status=response.status_code,
                        retry_after=response.headers.get("retry-after", ""),
                    )  # fmt: skip
                async for chunk in response.aiter_bytes():
                    yield chunk
        except httpx.HTTPError as exc:
            raise Transient(f"{self.name} broke off: {exc or type(exc).__name__}") from exc

    async def _send(
        self, method: str, url: str, params: Any, json: Any, form: Any, content: Any, headers: Any, limit: int, pin: str
    ) -> Answer:
        to, said, more = _pinned(url, pin) if pin else (url, {}, {})
        async with self._client.stream(
            method,
            to,
            params=params,
            json=json,
            data=form,
            content=content,
            headers={**(headers or {}), **said},
            extensions=more,
        ) as response:
            body = bytearray()
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > limit:
                    raise Transient(f"{self.name}: the answer to {url} is over {limit} bytes")
            return _answer(response, bytes(body))

    async def _post(self, url: str, body: bytes, headers: Mapping[str, str], most: int, pin: str) -> Answer:
        to, said, more = _pinned(url, pin)
        async with self._client.stream("POST", to, content=body, headers={**headers, **said}, extensions=more) as got:
            return _answer(got, await _beginning(got, most))


def trusting(ca_file: Path | None = None) -> ssl.SSLContext:
    """Certificates that are believed: the public ones, and those of a file. Raises OSError for what is no such file."""
    context = httpx.create_ssl_context(trust_env=False)
    if ca_file is not None:
        context.load_verify_locations(ca_file)
    return context


async def _beginning(response: httpx.Response, most: int) -> bytes:
    """The first bytes of a body that nobody needs: what came, when it does not come whole."""
    body = bytearray()
    try:
        async with asyncio.timeout(BEGINNING):
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) >= most:
                    break
    except (httpx.HTTPError, TimeoutError):
        pass
    return bytes(body[:most])


def _answer(response: httpx.Response, body: bytes) -> Answer:
    return Answer(response.status_code, {k.lower(): v for k, v in response.headers.items()}, body)


def _pinned(url: str, address: str) -> tuple[httpx.URL, dict[str, str], dict[str, Any]]:
    """The URL by `address`, with what keeps the other side and the certificate at the URL's own host.

    The connection is used once: kept ones are told apart by address alone, and two hosts may share one.
    """
    wanted = httpx.URL(url)
    said = {"Host": wanted.netloc.decode(), "Connection": "close"}
    return wanted.copy_with(host=address), said, {"sni_hostname": wanted.host}


@asynccontextmanager
async def client(name: str, base: str = "", **options: Any) -> AsyncIterator[Http]:
    """An `Http` that is closed at the end."""
    async with Http(name, base, **options) as http:
        yield http
