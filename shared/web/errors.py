"""Errors as answers: RFC 9457 problems for programs, a page for people. Knows nothing of what went wrong inside.

An error says its status by `status_hint`; a ValidationError of pydantic becomes one problem with a JSON pointer per
fault; the database being away is 503 with Retry-After; whatever else escapes is ours, logged, and told as 500
without a word of its inside.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

import structlog
from aiohttp import web
from pydantic import ValidationError

from shared.db.pool import AWAY
from shared.errors import NetciError
from shared.formats.clean import plain
from shared.formats.faults import FAULTS_KEPT, Fault, Faulty, in_words, pointer

log = structlog.get_logger(__name__)

ErrorPage = Callable[[int, str, str], str]
"""(status, title, detail) to HTML."""

ERROR_PAGE: web.AppKey[ErrorPage] = web.AppKey("error_page")

PROGRAM_PATHS = ("/api/", "/hooks", "/query/", "/healthz", "/readyz", "/metrics")


def problem(
    status: int,
    detail: str = "",
    *,
    instance: str = "",
    errors: Sequence[dict[str, Any]] = (),
    headers: Mapping[str, str] | None = None,
) -> web.Response:
    """``application/problem+json``. `errors` are ``{"pointer", "detail"}``; `headers` are added."""
    body: dict[str, Any] = {"type": "about:blank", "title": title_of(status), "status": status}
    body |= {k: v for k, v in (("detail", detail), ("instance", instance), ("errors", list(errors))) if v}
    text = json.dumps(body, ensure_ascii=False)
    return web.Response(text=text, status=status, headers=headers, content_type="application/problem+json")


def title_of(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"


def faults_of(exc: ValidationError) -> Faulty:
    """The faults of a body, each with its JSON pointer (RFC 6901)."""
    return Faulty(*(Fault(pointer(e["loc"]), in_words(e)) for e in exc.errors(include_url=False)))


def wants_page(request: web.Request) -> bool:
    """Whether a person asked: neither a program's path nor a program's Accept."""
    if request.path.startswith(PROGRAM_PATHS) or request.path.endswith(".json"):
        return False
    return "text/html" in request.headers.get("Accept", "text/html") or "Accept" not in request.headers


def refuse(request: web.Request, status: int, detail: str, headers: Mapping[str, str] | None = None) -> web.Response:
    """The error as a page or a problem, whichever the asker can read."""
    detail = plain(detail)[:2000]
    if (page := request.app.get(ERROR_PAGE)) is None or not wants_page(request):
        return problem(status, detail, instance=request.path, headers=headers)
    text = page(status, title_of(status), detail)
    return web.Response(text=text, status=status, headers=headers, content_type="text/html")


@web.middleware
async def answer_errors(request: web.Request, handler: Callable[..., Any]) -> web.StreamResponse:
    """Turn whatever a handler raises into an answer. A stream already begun can only be closed."""
    try:
        return await handler(request)  # type: ignore[no-any-return]
    except web.HTTPException as exc:
        return exc if exc.status < 400 else _of_http(request, exc)
    except ValidationError as exc:
        return _of_ours(request, faults_of(exc))
    except json.JSONDecodeError as exc:
        return refuse(request, 400, f"not JSON: {exc}")
    except NetciError as exc:
        return _of_ours(request, exc)
    except ConnectionResetError:
        raise
    except AWAY as exc:
        log.warning("request: a part we need is away", path=request.path, error=str(exc) or type(exc).__name__)
        return refuse(request, 503, "something we need does not answer; try again soon", {"Retry-After": "5"})
    except Exception:
        log.exception("request: broke", path=request.path)
        return refuse(request, 500, "the fault is ours and has been logged")


def _of_ours(request: web.Request, exc: NetciError) -> web.Response:
    """An error of the five; its hints may name headers, and the faults of a body (`pointer`, `detail`)."""
    status, headers = getattr(exc, "status_hint", 500), exc.hints.get("headers")
    told: Mapping[str, str] | None = headers if isinstance(headers, Mapping) else None
    if isinstance(errors := exc.hints.get("errors"), Sequence) and errors:
        return problem(status, str(exc), instance=request.path, errors=errors[:FAULTS_KEPT], headers=told)
    return refuse(request, status, str(exc), told)


def _of_http(request: web.Request, exc: web.HTTPException) -> web.Response:
    keep = {k: v for k, v in exc.headers.items() if k in ("Allow", "Retry-After")}
    default = exc.text or ""
    detail = "" if default.startswith(f"{exc.status}:") else default
    if exc.status == 404 and not detail:
        detail = f"there is nothing at {request.path}"
    if isinstance(exc, web.HTTPMethodNotAllowed):
        detail = f"{request.path} takes {', '.join(sorted(exc.allowed_methods))}, and not {request.method}"
    return refuse(request, exc.status, detail, keep)
