"""How a Patchwork server hears of us: a real one on loopback that keeps what it was asked with."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from shared.errors import Refused
from shared.http import Answer
from shared.patchwork import http_for, token_of
from shared.settings import Patchwork


@asynccontextmanager
async def a_server(heard: list[Mapping[str, str]]) -> AsyncIterator[str]:
    async def hear(request: web.Request) -> web.Response:
        heard.append(request.headers)
        return web.json_response({})

    app = web.Application()
    app.router.add_get("/api/", hear)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def asked_with(token: str = "", user_agent: str = "") -> Mapping[str, str]:
    heard: list[Mapping[str, str]] = []
    async with a_server(heard) as url:
        config = Patchwork(url=f"{url}/", project="netdevbpf", user_agent=user_agent)
        async with http_for(config, "https://ci.example", name="practice", connections=1, token=token) as http:
            assert (await http.request("GET", "/api/")).status == 200
    return heard[0]


async def test_it_says_who_asks_and_where_to_complain() -> None:
    headers = await asked_with()
    assert headers["User-Agent"] == "netci (+https://ci.example)"
    assert "Authorization" not in headers
    assert (await asked_with(user_agent="my lab"))["User-Agent"] == "my lab"


async def test_a_token_goes_along_where_there_is_one() -> None:
    assert (await asked_with(token="secret"))["Authorization"] == "Token secret"


def test_the_token_of_a_project(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("secret\n")
    file.chmod(0o600)
    config = Patchwork(url="https://patchwork.example", project="netdevbpf", token_file=file)
    assert token_of(config) == "secret"
    assert token_of(Patchwork(url="https://patchwork.example", project="netdevbpf")) == ""
    file.chmod(0o644)
    with pytest.raises(Refused, match=r"patchwork token: .* can be read by others"):
        token_of(config)


@pytest.mark.parametrize(
    ("said", "seconds"),
    [("7", 7.0), (" 0 ", 0.0), ("900", 300.0), ("9" * 400, 300.0), ("-1", None), ("1.5", None), ("", None),
     ("²", None), ("Mon, 23 Nov 2026 09:00:00 GMT", None)],
)  # fmt: skip
def test_the_wait_that_an_answer_asks_for(said: str, seconds: float | None) -> None:
    assert Answer(503, {"retry-after": said}, b"").retry_after(300.0) == seconds
