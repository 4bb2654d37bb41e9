"""Headers on every answer: what a browser may do with it, and whether it has it already.

The content policy has no exception for inline script or style: what a stranger's log or mail says is never run, even
where escaping were forgotten once.
"""

import hashlib
from collections.abc import Callable
from typing import Any

from aiohttp import web

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

SANDBOX = "default-src 'none'; sandbox; frame-ancestors 'none'"
"""For bytes of strangers that are handed out as they are."""

SECURITY = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "strict-origin-when-cross-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}

WORTH_PACKING = 1500


async def secure(request: web.Request, response: web.StreamResponse) -> None:
    """On each answer before its headers go out (the signal `on_response_prepare`)."""
    for name, value in SECURITY.items():
        response.headers.setdefault(name, value)
    response.headers.setdefault("Cache-Control", "no-cache")
    response.headers["Server"] = "netci"


def etag_of(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()[:20]


@web.middleware
async def conditional(request: web.Request, handler: Callable[..., Any]) -> web.StreamResponse:
    """ETag on whole answers to GET, and 304 where the asker has it."""
    response: web.StreamResponse = await handler(request)
    if request.method not in ("GET", "HEAD") or response.status != 200 or not isinstance(response, web.Response):
        return response
    if not isinstance(response.body, bytes):
        return response
    if response.etag is None:
        response.etag = etag_of(response.body)
    if _has_it(request, response):
        kept = {k: v for k, v in response.headers.items() if k in ("ETag", "Cache-Control", "Content-Security-Policy")}
        return web.Response(status=304, headers=kept)
    if len(response.body) > WORTH_PACKING and response.content_type.startswith(("text/", "application/")):
        response.headers["Vary"] = "Accept-Encoding"
        response.enable_compression()
    return response


def _has_it(request: web.Request, response: web.Response) -> bool:
    mine = response.etag
    return mine is not None and any(tag.value in (mine.value, "*") for tag in request.if_none_match or ())
