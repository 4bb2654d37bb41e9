"""What outside labs and hooks say to us over HTTP: the table of endpoints, and the door through which they come."""

from datetime import datetime

from aiohttp import web

from services.ingest.api import artifacts, hooks, lab, results, runs, squad
from services.ingest.api.desk import LabDesk
from shared.db.pool import Pool
from shared.web.auth import Gate
from shared.web.openapi import Door, Endpoint, mount

LabDoor = Door[LabDesk]

ENDPOINTS: tuple[Endpoint[LabDesk], ...] = (
    *lab.ENDPOINTS,
    *runs.ENDPOINTS,
    *artifacts.ENDPOINTS,
    *results.ENDPOINTS,
    *squad.ENDPOINTS,
    *hooks.ENDPOINTS,
)


def add_routes(app: web.Application, door: LabDoor) -> None:
    """Serve labs on `app`, ours or that of another room in this process."""

    def pool() -> Pool:
        return door().floor.pool

    def now() -> datetime:
        return door().floor.clock()

    mount(app, ENDPOINTS, door, Gate(pool, now, lambda: door().rates))
