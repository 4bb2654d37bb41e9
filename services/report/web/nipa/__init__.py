"""What NIPA's readers ask for, in its shapes: ``/query/…``, the files of its pages, and the addresses of these.

Contracts: an odd value is answered as NIPA answers it (nothing, an empty list, or as if it were not there), never with
a problem; everything may be read from any origin; nothing of trials, of tries or of runs that are not public is here.
"""

from collections.abc import Awaitable, Callable

from aiohttp import web

from services.report.web.front import FRONT, Front
from services.report.web.nipa import deltas, files, pages, query, results
from shared.web.app import PATIENT
from shared.web.openapi import Asked, Endpoint

ENDPOINTS: tuple[Endpoint[Front], ...] = (*results.ENDPOINTS, *query.ENDPOINTS, *files.ENDPOINTS)


def add_routes(app: web.Application) -> None:
    """Every path of NIPA's readers."""
    for endpoint in ENDPOINTS:
        handler = _handler(endpoint)
        if endpoint.patient:
            app[PATIENT].add(handler)
        for path in (endpoint.path, *files.ALSO.get(endpoint.path, ())):
            app.router.add_get(path, handler)
    deltas.add_routes(app)
    pages.add_routes(app)


def _handler(endpoint: Endpoint[Front]) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def handle(request: web.Request) -> web.StreamResponse:
        answer: web.StreamResponse = await endpoint.act(request.app[FRONT], Asked(request, None, {}))
        return answer

    return handle
