"""Requests to one Patchwork: version probed and pinned, pages followed, short outages bridged.

Answers documents; what they mean is others'. Reads only, so every request may be repeated.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

import structlog

from services.ingest.sources.patchwork import answers
from services.ingest.waits import asked_wait
from shared.errors import Missing, Refused, Transient
from shared.http import Answer, Http

log = structlog.get_logger(__name__)

VERSIONS = ("1.4", "1.3", "1.2")
"""API versions that we read, newest first. 1.2 is Patchwork 2.2, the oldest that is known to be in use."""
AT_ONCE = 4
Params = Sequence[tuple[str, str]]


class Client:
    """`http` has Patchwork's address as its base. At most `AT_ONCE` requests are under way."""

    def __init__(self, http: Http) -> None:
        self._http = http
        self._hands = asyncio.Semaphore(AT_ONCE)
        self._probing = asyncio.Lock()
        self.version = ""

    async def probe(self) -> str:
        """The newest API version that both sides know, asked once. Raises Refused if there is none."""
        async with self._probing:
            for version in () if self.version else VERSIONS:
                answer = await self._repeat(f"/api/{version}/", (), missing_is_an_answer=True)
                if answer.status == 200:
                    answers.document(answer, f"/api/{version}/")
                    self.version = version
                    break
        if not self.version:
            raise Refused(f"no Patchwork with an API of version {', '.join(VERSIONS)} answers; is patchwork.url right?")
        return self.version

    async def get(self, path: str, params: Params = ()) -> Any:
        """The document at `path` of the API. Raises Missing, Refused or Transient."""
        answer = await self._api(path, params)
        return answers.document(answer, path)

    async def pages(self, path: str, params: Params) -> AsyncIterator[list[Any]]:
        """The pages of a list. A page that is gone, as when rows went away while we read, is the end."""
        query = ""
        for _ in range(10_000):
            try:
                answer = await self._api(path, params, query)
            except Missing:
                if query:
                    return
                raise
            rows = answers.document(answer, path)
            if not isinstance(rows, list):
                raise Transient(f"{path}: no list in the answer")
            yield rows
            query = answers.next_query(answer.headers.get("link", ""))
            if not query:
                return

    async def mbox(self, path: str, limit: int) -> bytes:
        """A mailbox outside the API. Raises Missing if it is not there."""
        answer = await self._repeat(path, (), missing_is_an_answer=True, limit=limit)
        if answer.status == 404:
            raise Missing(f"{path}: 404")
        return answers.mails(answer, path)

    async def _api(self, path: str, params: Params, query: str = "") -> Answer:
        full = f"/api/{await self.probe()}/{path}"
        return await self._repeat(f"{full}?{query}" if query else full, () if query else params)

    async def _repeat(
        self, path: str, params: Params, *, missing_is_an_answer: bool = False, limit: int = 64 << 20
    ) -> Answer:
        attempt, start = 0, time.monotonic()
        while True:
            attempt += 1
            try:
                return await self._once(path, params, missing_is_an_answer, limit)
            except Transient as exc:
                wait = answers.wait_before(attempt, asked_wait(exc.hints), time.monotonic() - start)
                if wait is None or exc.hints.get("status") == 404:
                    raise
                log.debug("patchwork: again", path=path, wait=wait, error=str(exc))
            await asyncio.sleep(wait)

    async def _once(self, path: str, params: Params, missing_is_an_answer: bool, limit: int) -> Answer:
        async with self._hands:
            answer = await self._http.request(
                "GET", path, params=list(params) or None, headers={"accept": "*/*"}, limit=limit
            )
        if not (missing_is_an_answer and answer.status == 404):
            answers.judge(answer, path)
        return answer
