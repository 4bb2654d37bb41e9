"""Every recorded exchange that a client may make, asked again over HTTP of the practice server: the answers agree."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import aiohttp
import pytest
from yarl import URL

from shared.practice.patchwork import Served
from shared.practice.patchwork.asking import Answer
from tests.shared.practice.patchwork.comparing import differences
from tests.shared.practice.patchwork.recording import HOST, Exchange, Recorded, asked, exchanges

BUNDLES = "bundles are lists that people keep in the browser; no client of ours makes or reads any"
DIFFERENT: Mapping[str, str] = {
    "026-options": "OPTIONS describes its form for people; here it only answers 200 with JSON and the Allow header",
    "058-mbox-series-head": "the recorded answer to HEAD has a Vary header that the one to GET has not",
    "241-bundle-create": BUNDLES,
    "242-bundles": BUNDLES,
    "243-bundle-mbox": BUNDLES,
    "244-bundle-patch": BUNDLES,
}
"""Exchanges that do not agree, and why that may be."""

EXCHANGES = exchanges()


@pytest.fixture(scope="module")
def replayed() -> Mapping[str, list[str]]:
    """By exchange, what was not the same."""
    return asyncio.run(_replay())


async def _replay() -> dict[str, list[str]]:
    recorded = Recorded()
    async with recorded.site.running("127.0.0.1", 0) as site, aiohttp.ClientSession() as session:
        return {e.name: differences(e, await _repeated(recorded, site, session, e)) for e in EXCHANGES}


async def _repeated(recorded: Recorded, site: Served, session: aiohttp.ClientSession, exchange: Exchange) -> Answer:
    recorded.before(exchange)
    ask = asked(recorded.pw, exchange)
    async with session.request(
        ask.method,
        URL(site.url + ask.target, encoded=True),
        headers={**ask.headers, "Host": HOST},
        data=ask.content or None,
        allow_redirects=False,
        timeout=aiohttp.ClientTimeout(10),
    ) as response:
        return Answer(response.status, await response.read(), dict(response.headers))


@pytest.mark.parametrize("name", [e.name for e in EXCHANGES if e.name not in DIFFERENT])
def test_the_answer_agrees(replayed: Mapping[str, list[str]], name: str) -> None:
    assert replayed[name] == []


@pytest.mark.parametrize("name", DIFFERENT)
def test_what_is_listed_as_different_is(replayed: Mapping[str, list[str]], name: str) -> None:
    assert replayed[name], "it agrees by now: take it from the list"


def test_nearly_all_agree() -> None:
    assert len(EXCHANGES) == 307
    assert len(DIFFERENT) / len(EXCHANGES) < 0.05
