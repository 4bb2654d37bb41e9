"""Hears of new branches, in the way that the configuration names, and puts them before the executors they are for.

Where we are in the log of events is written down after the orders: killed in between, a branch is heard of twice, and
the spool knows it.
"""

import contextlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Never

import structlog

from services.executor.remote.branch import Branch, Listed, of_event, of_list
from services.executor.remote.config import LabSettings
from services.executor.remote.pace import REAL, Pace
from services.executor.remote.spool import Spool
from services.executor.remote.sse import Heard, Parser
from services.executor.remote.state import State
from shared.clock import Clock
from shared.errors import NetciError, Refused, Transient
from shared.git.refs import ls_remote
from shared.git.store import Store
from shared.http import Answer, Http

log = structlog.get_logger(__name__)

CURSOR = "cursor"
EVENTS = "/api/v1/events"
KIND = "branch.cut"


@dataclass
class Follower:
    """`http` asks without the token: branches are public, and a refused token must not keep us from hearing of them."""

    settings: LabSettings
    spool: Spool
    http: Http
    store: Store
    state: State
    clock: Clock
    pace: Pace = REAL
    _etag: str = field(default="", init=False)

    async def run(self) -> Never:
        """For ever. Waits longer and longer while nothing can be heard."""
        ways = {"sse": self._stream, "poll": self._poll, "branches.json": self._look}
        follow, retry = ways[self.settings.follow], self.settings.retry
        wait = retry.first.total_seconds()
        while True:
            began = self.pace.seconds()
            try:
                await follow()
                wait = retry.first.total_seconds()
            except (Transient, ValueError, KeyError, TypeError, OSError) as exc:
                if self.pace.seconds() - began > retry.longest.total_seconds():
                    wait = retry.first.total_seconds()
                self.state.now.following = str(exc) if isinstance(exc, Transient | OSError) else repr(exc)
                with contextlib.suppress(OSError):
                    self.state.note()
                log.warning("follow: nothing is heard", why=self.state.now.following, wait=wait)
                await self.pace.sleep(wait)
                wait = min(retry.longest.total_seconds(), wait * 2)

    # The log of events

    async def _stream(self) -> None:
        cursor = self.spool.read(CURSOR)
        parser = Parser(cursor)
        query = {"type": KIND} | ({} if cursor else {"after": "0"})
        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": cursor} if cursor else {})
        try:
            async for chunk in self.http.chunks(
                f"{EVENTS}/stream", params=query, headers=headers, silence=self.settings.silence.total_seconds()
            ):
                self.state.heard()
                for heard in parser.feed(chunk):
                    self._hear(heard)
                if parser.last_id != cursor:
                    cursor = parser.last_id
                    self.spool.write(CURSOR, cursor)
        except Transient as exc:
            self._mind_cursor(exc.hints.get("status"))
            raise
        # The server restarts, or found us slow. It is not asked again at once.
        await self.pace.sleep(self.settings.retry.first.total_seconds())

    def _hear(self, heard: Heard) -> None:
        if heard.event == "gap":
            log.warning("follow: events were lost to us, going on from the oldest kept", said=heard.data[:300])
            return
        self._event(json.loads(heard.data))

    def _event(self, event: Any) -> None:
        try:
            branch = of_event(event)
        except (KeyError, TypeError, ValueError) as exc:
            log.error("follow: an event that cannot be read is left out", error=repr(exc))
            return
        if branch is not None:
            self._take(branch)

    async def _poll(self) -> None:
        """One long poll."""
        query = {"type": KIND, "after": self.spool.read(CURSOR) or "0", "wait": "30"}
        answer = await self.http.request("GET", EVENTS, params=query)
        self._must_be_good(answer)
        page = json.loads(answer.body)
        self.state.heard()
        for event in page["events"]:
            self._event(event)
        if page["next"] != query["after"]:
            self.spool.write(CURSOR, str(page["next"]))

    def _must_be_good(self, answer: Answer) -> None:
        if answer.status != 200:
            self._mind_cursor(answer.status)
            raise Transient(f"the server answered {answer.status}: {answer.text()[:200]}")

    def _mind_cursor(self, status: object) -> None:
        """A cursor that the server cannot read is of another server: what it kept is heard anew, and known to us."""
        if status == 400 and self.spool.read(CURSOR):
            self.spool.write(CURSOR, "")

    # branches.json

    async def _look(self) -> None:
        """One look, and the wait until the next."""
        headers = {"If-None-Match": self._etag} if self._etag else {}
        answer = await self.http.request("GET", self.settings.branches_url, headers=headers)
        if answer.status == 200:
            await self._listed(of_list(json.loads(answer.body)))
            self._etag = answer.headers.get("etag", "")
        elif answer.status != 304:
            raise Transient(f"{self.settings.branches_url} answered {answer.status}")
        self.state.heard()
        await self.pace.sleep(self.settings.poll.total_seconds())

    async def _listed(self, entries: Sequence[Listed]) -> None:
        seen = {record["name"] for record in self.spool.known.of("listed")}
        for entry in entries:
            if entry.name not in seen and self._wanted(entry):
                await self._ask(entry)

    def _wanted(self, entry: Listed) -> bool:
        return bool(self._executors(entry.stream)) and self.clock() - entry.date <= self.settings.oldest

    async def _ask(self, entry: Listed) -> None:
        """Which commit it is: names move, and what is tested is the commit."""
        await self.store.ensure()
        ref = f"refs/heads/{entry.name}"
        try:
            heads = await ls_remote(self.store, self.settings.git or entry.url, ref)
            if ref in heads:
                self._take(entry.at(heads[ref]))
            else:
                log.warning("follow: a listed branch is not there", branch=entry.name, url=entry.url)
        except Refused as exc:
            log.error("follow: a listed branch is left out", branch=entry.name, error=str(exc))
        except NetciError as exc:
            raise Transient(str(exc)) from exc
        self.spool.known.append({"kind": "listed", "name": entry.name})

    # Orders

    def _executors(self, stream: str) -> list[tuple[str, timedelta]]:
        return [(e.name, e.deadline) for e in self.settings.executors if stream in e.streams]

    def _take(self, branch: Branch) -> None:
        for name, deadline in self._executors(branch.stream):
            if self.spool.order(branch, name, branch.announced + deadline):
                log.info("follow: a branch", branch=branch.name, executor=name)
