"""Static files: cached for good under the name with their digest, checked under the plain one."""

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from shared.web.app import make_app
from shared.web.static import Assets


async def test_files() -> None:
    assets = Assets("services.report.web")
    app = make_app()
    assets.mount(app)
    async with TestClient[web.Request, web.Application](TestServer(app)) as client:
        forever = await client.get(assets.url("style.css"))
        assert forever.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert forever.content_type == "text/css"
        plain = await client.get("/static/style.css")
        assert plain.headers["Cache-Control"] == "no-cache"
        assert await plain.read() == await forever.read()
        assert (await client.get("/static/app.py")).status == 404
        assert (await client.get("/static/..%2fapp.py")).status == 404
