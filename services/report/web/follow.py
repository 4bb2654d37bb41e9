"""How to be notified: every way there is, with the addresses of this installation."""

from aiohttp import web

from services.report.web.front import Data, Front


async def follow(front: Front, request: web.Request) -> Data:
    """The ways, and what they need."""
    settings = front.floor.settings
    return {
        "public_url": settings.public_url,
        "streams": [{"project": p, "name": s} for p, project in settings.projects.items() for s in project.streams],
        "webhooks": settings.webhooks.key_file is not None,
        "posting": {name: project.post for name, project in settings.projects.items()},
    }
