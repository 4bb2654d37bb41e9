"""Tells the server what the spool holds: in order, until it is taken, each record as often as it needs and once in
effect. Refuses to know what runs.
"""

import asyncio
import contextlib
import random
from dataclasses import dataclass, field
from typing import Never

import structlog

from services.executor.remote.config import LabSettings
from services.executor.remote.journal import Record
from services.executor.remote.pace import REAL, Pace
from services.executor.remote.post import RUNS, Meaning, What, meaning, post_of, run_named
from services.executor.remote.spool import ATTEMPTS, Spool, SpooledRun
from services.executor.remote.state import State
from shared.clock import Clock
from shared.errors import Refused, Transient
from shared.http import Answer, Http

log = structlog.get_logger(__name__)

MEND = "make a token with `netci token create` (or have it made), and put it where token_file or token_env says"


class Later(Exception):
    """The server cannot take it now; `wait` in seconds if it said for how long."""

    def __init__(self, why: str, wait: float | None = None) -> None:
        super().__init__(why)
        self.wait = wait


class Denied(Exception):
    """The token is not good for it."""


@dataclass
class Sender:
    """`http` is for words, `bulk` for files, which may take long."""

    settings: LabSettings
    spool: Spool
    http: Http
    bulk: Http
    state: State
    clock: Clock
    pace: Pace = REAL
    _said: dict[str, float] = field(default_factory=dict)
    _refused: str = ""

    async def run(self) -> Never:
        """For ever. Waits longer and longer while the server is away, or as long as it says."""
        pause = self.settings.retry.first.total_seconds()
        while True:
            try:
                await self.round()
                pause = self.settings.retry.first.total_seconds()
                await self.spool.news(self.settings.heartbeat.total_seconds() / 4)
            except (Later, Transient, OSError) as exc:
                pause = await self._wait(exc, pause)
            except (Denied, Refused) as exc:
                await self._denied(exc)

    async def _wait(self, exc: Exception, pause: float) -> float:
        """Wait, and give how long to wait the next time. An OSError is of our own disk."""
        wait = exc.wait if isinstance(exc, Later) and exc.wait is not None else pause * random.uniform(0.75, 1.25)
        self.state.now.trouble = f"nothing can be told now: {exc}"
        with contextlib.suppress(OSError):
            self.state.note()
        log.warning("post: later", why=str(exc), wait=round(wait, 1))
        await self.pace.sleep(wait)
        return min(self.settings.retry.longest.total_seconds(), pause * 2)

    async def _denied(self, exc: Exception) -> None:
        """Stop posting until the token is another one, or it is worth asking again. What runs, runs on."""
        said = f"{exc}; {MEND}"
        if self.state.now.denied != said:
            log.error("post: the token is refused; runs go on and wait in the spool", why=str(exc), mend=MEND)
        self.state.now.denied = said
        self.state.note()
        until = self.pace.seconds() + 5 * self.settings.retry.longest.total_seconds()
        while self.pace.seconds() < until and self._token_or_none() in (None, self._refused):
            await self.pace.sleep(self.settings.retry.first.total_seconds())

    def _token_or_none(self) -> str | None:
        try:
            return self.settings.token()
        except Refused:
            return None

    async def round(self) -> None:
        """Post all there is, say of open runs that they live, forget what is told."""
        for run, _ in list(self.spool.pending()):
            await self._tell(run)
        for run in list(self.spool.runs.values()):
            if not self.spool.clean(run):
                await self._beat(run)

    async def _tell(self, run: SpooledRun) -> None:
        while unsent := run.unsent():
            number, record = unsent[0]
            answer = await self._post(run, number, record)
            said = meaning(record["kind"], answer.status, answer.headers, answer.body, self.clock())
            self._settle(run, number, record, answer, said)
            self._said[run.key] = self.pace.seconds()

    async def _post(self, run: SpooledRun, number: int, record: Record) -> Answer:
        post = post_of(run, record, self.clock())
        headers = self._headers() | ({"Idempotency-Key": run.idempotency_key(number)} if post.keyed else {})
        if post.file:
            content = await asyncio.to_thread((run.folder / post.file).read_bytes)
            headers["Content-Type"] = "application/octet-stream"
            return await self.bulk.request(post.method, post.path, content=content, headers=headers)
        headers["Content-Type"] = "application/json"
        return await self.http.request(post.method, post.path, content=post.content, headers=headers)

    def _headers(self) -> dict[str, str]:
        self._refused = self.settings.token()
        return {"Authorization": f"Bearer {self._refused}"}

    def _settle(self, run: SpooledRun, number: int, record: Record, answer: Answer, said: Meaning) -> None:
        match said.what:
            case What.TAKEN:
                self._taken(run, number, record, answer)
            case What.REJECTED:
                self._reject(run, number, record, said.why)
            case What.CLOSED:
                self._begin_anew(run, number, record, said.why)
            case What.DENIED:
                raise Denied(said.why)
            case What.LATER:
                raise Later(said.why, said.wait)
        self.state.now.denied = ""
        self.state.answered()

    def _taken(self, run: SpooledRun, number: int, record: Record, answer: Answer) -> None:
        if record["kind"] != "open":
            run.taken(number)
            return
        try:
            run.taken(number, *run_named(answer.body))
        except ValueError as exc:
            # A page of some proxy, perhaps.
            raise Later(f"the answer to the opening of a run cannot be read: {exc}") from None

    def _reject(self, run: SpooledRun, number: int, record: Record, why: str) -> None:
        log.error("post: refused, kept below rejected/", branch=run.branch.name, kind=record["kind"], why=why)
        run.reject(number, why)
        if record["kind"] == "open":
            # Without a run nothing of it has a place on the server.
            for other, _ in run.unsent():
                run.reject(other, f"its run was not accepted: {why}")

    def _begin_anew(self, run: SpooledRun, number: int, record: Record, why: str) -> None:
        if run.attempt + 1 >= ATTEMPTS:
            for other, _ in run.unsent():
                run.reject(other, f"no attempt of this run is left: {why}")
            return
        log.warning("post: the run is closed there, telling it as another attempt", branch=run.branch.name, why=why)
        run.begin_anew(run.attempt + 1)

    async def _beat(self, run: SpooledRun) -> None:
        """A run that is open and has said nothing for a while says that it lives."""
        interval = self.settings.heartbeat.total_seconds()
        name = run.run_id
        if name is None or run.over or self.pace.seconds() - self._said.get(run.key, 0.0) < interval:
            return
        headers = self._headers() | {"Content-Type": "application/json"}
        answer = await self.http.request("POST", f"{RUNS}/{name}/heartbeat", content=b"{}", headers=headers)
        said = meaning("heartbeat", answer.status, answer.headers, answer.body, self.clock())
        self._said[run.key] = self.pace.seconds()
        if said.what is What.CLOSED:
            self._begin_anew(run, -1, {}, said.why)
        elif said.what in (What.LATER, What.DENIED):
            raise Later(said.why, said.wait) if said.what is What.LATER else Denied(said.why)
        else:
            self.state.answered()
