"""What NIPA's readers ask for, in its shapes: ``/query/…``, the files of its pages, and the addresses of these.

Contracts: an odd value is answered as NIPA answers it (nothing, an empty list, or as if it were not there), not with a
problem; everything may be read from any origin; nothing of trials, of tries or of runs that are not public is here.
"""

from aiohttp import web

from services.report.web.front import Front
from services.report.web.nipa import deltas, files, pages, query, results
from shared.web.openapi import Endpoint

ENDPOINTS: tuple[Endpoint[Front], ...] = (*results.ENDPOINTS, *query.ENDPOINTS, *files.ENDPOINTS)


def add_routes(app: web.Application) -> None:
    """The pages; the rest is in `ENDPOINTS`."""
    deltas.add_routes(app)
    pages.add_routes(app)
