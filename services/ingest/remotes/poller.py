"""The poll of one remote's manifest, done by one process of the installation.

A round looks at the manifest (asking only for what is new), writes down what it says of each run, and then does what
the runs that are due need: opened, taken, compared, given up. All of it is remembered in the tables, so any process can
go on at any point. Whatever a remote publishes, it hurts nobody but that remote.
"""

import asyncio
import hashlib
import time
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Never

import structlog

from services.ingest.api.desk import LabDesk
from services.ingest.remotes import book
from services.ingest.remotes.book import Run, Step, Times
from services.ingest.remotes.fetch import Fetcher, File, Marks, fetcher
from services.ingest.remotes.store import BookStore, Place, Rejection, Seen
from services.ingest.remotes.take import Taker
from services.ingest.waits import asked_wait, wait_after
from shared.db.pool import AWAY
from shared.errors import Missing, NetciError, Refused, Transient
from shared.floor import Floor
from shared.formats.faults import Fault, Faulty
from shared.formats.nipa import read_manifest, read_run
from shared.formats.reported import Reported
from shared.health import report_health
from shared.net import Reach
from shared.pauses import paused
from shared.settings import Remote, Settings

log = structlog.get_logger(__name__)

MANIFEST = 4 << 20
"""Bytes of a manifest. The 500 runs that NIPA's programs keep are some 100 kB."""

TIMEOUT = 60.0
ROUND = 120.0
"""Seconds after which a round begins no other file: the manifest is looked at again first."""
MANY = 100
"""Runs of one round. Those that wait come in the next."""


@dataclass(slots=True)
class RemotePoller:
    """Polls `remote`. `run` never returns; whoever runs it makes sure that nobody else does.

    `reading` is common to all pollers of a process: a file of 64 MiB is read one at a time.
    """

    desk: LabDesk
    remote: Remote
    reading: asyncio.Lock
    store: BookStore = field(init=False)
    taker: Taker = field(init=False)
    times: Times = field(init=False)

    def __post_init__(self) -> None:
        self.store = BookStore(self.remote.name)
        self.taker = Taker(self.desk, self.store)
        self.times = Times(self.desk.labs.silence, self.desk.labs.longest)

    @property
    def floor(self) -> Floor:
        return self.desk.floor

    async def run(self, number: int) -> Never:
        failures = 0
        async with files_of(self.floor.settings, self.remote.name) as files:
            while True:
                seen, began = self.floor.bells.count("netci_pauses"), time.monotonic()
                if why := await paused(self.floor.pool, "source", f"remotes/{self.remote.name}"):
                    await self._health(f"paused: {why}")
                    await self.floor.bells.wait("netci_pauses", seen, 5.0)
                    continue
                trouble = await self.look(files)
                await self.work_off(files, began + ROUND)
                failures = failures + 1 if trouble else 0
                wait = self._wait(failures, trouble) - (time.monotonic() - began)
                await self.floor.bells.wait("netci_pauses", seen, wait)

    def _wait(self, failures: int, trouble: NetciError | None) -> float:
        every = self.remote.poll.total_seconds()
        return wait_after(every, failures, asked_wait(trouble.hints)) if trouble else every

    async def _health(self, trouble: str = "") -> None:
        await report_health(self.floor, f"manifest:{self.remote.name}", not trouble, trouble)

    async def look(self, files: Fetcher) -> NetciError | None:
        """Read the manifest, if it is another than the last; gives what kept us from it."""
        try:
            await self._look(files)
        except AWAY:
            raise
        except Exception as exc:
            return await self._trouble(exc)
        await self._health()
        return None

    async def _look(self, files: Fetcher) -> None:
        known, url = await self.store.manifest(self.floor.pool), self.remote.manifest
        # An address that has changed is another file, and after a trouble its owner mends, all of it is read again.
        marks = known.marks if known.url == url and not known.trouble else Marks()
        file, now = await files.get(url, MANIFEST, marks), self.floor.clock()
        if file is None:
            await self.store.same(self.floor.pool, now)
        else:
            manifest = await asyncio.to_thread(read_manifest, file.body)
            seen = Seen(url, file.marks, now, "", manifest.warnings)
            async with self.floor.pool.acquire() as conn, conn.transaction():
                await self.store.save(conn, book.compare(await self.store.runs(conn), manifest.entries, now))
                await self.store.forget(conn, now)
                await self.store.seen(conn, seen, len(manifest.entries))
                if manifest.warnings and manifest.warnings != known.warnings:
                    text = f"{len(manifest.warnings)} entries make no sense: {'; '.join(manifest.warnings[:5])}"
                    await self.store.reject(conn, Rejection(url, text, size=len(file.body)))
        await self.store.heard(self.floor.pool)

    async def _trouble(self, exc: Exception) -> NetciError:
        """Tell the owner, once for each new trouble that lies in what was published."""
        error = _known(exc, f"remote {self.remote.name}: its manifest")
        text, known, now = str(error)[:1000], await self.store.manifest(self.floor.pool), self.floor.clock()
        log.warning("remote: in trouble", remote=self.remote.name, error=text)
        async with self.floor.pool.acquire() as conn, conn.transaction():
            await self.store.bad(conn, self.remote.manifest, text, now)
            if isinstance(error, Refused) and text != known.trouble:
                await self.store.reject(conn, Rejection(self.remote.manifest, text, faults=_faults(error)))
        await self._health(text)
        return error

    async def work_off(self, files: Fetcher, until: float) -> None:
        """Do what the runs need that are due; those that only are to be shown as running come first."""
        now = self.floor.clock()
        heard = (await self.store.manifest(self.floor.pool)).polled
        due = await self.store.due(self.floor.pool, now, MANY)
        steps = [(run, place, *book.next_step(run, now, self.times, heard)) for run, place in due]
        for run, place, step, why in sorted(steps, key=lambda one: one[2] in (Step.TAKE, Step.COMPARE)):
            if time.monotonic() >= until:
                return
            try:
                await self._do(files, run, place, step, why)
            except AWAY:
                raise
            except Exception as exc:
                await self._failed(run, place, exc)

    async def _do(self, files: Fetcher, run: Run, place: Place, step: Step, why: str) -> None:
        match step:
            case Step.OPEN:
                await self.taker.open(run, place, self.floor.clock())
            case Step.LOSE:
                await self.taker.lose(run, place, why)
            case Step.TAKE:
                await self._take(files, run, place)
            case Step.COMPARE:
                await self._compare(files, run, place)
            case Step.REST:
                pass

    async def _take(self, files: Fetcher, run: Run, place: Place) -> None:
        assert run.url is not None
        file = await files.get(run.url, self.desk.labs.body)
        assert file is not None, "nothing was asked to be left out"
        await self._record(run, place, file, await self._read(run, file))

    async def _record(self, run: Run, place: Place, file: File, said: Reported) -> None:
        await self.taker.take(run, place, said, digest(file), file.marks, self.floor.clock())
        log.info("remote: run taken", remote=self.remote.name, run=run.name, cases=len(said.cases))

    async def _read(self, run: Run, file: File) -> Reported:
        """What the file says. Raises Refused where it is no such file, or another run's."""
        async with self.reading:
            said = await asyncio.to_thread(read_run, file.body)
        if (said.executor, said.branch) != run.key:
            raise Refused(
                f"{run.url}: the file of {run.name} is that of {said.executor} on {said.branch}; "
                f"do two executors write to one name?"
            )
        return said

    async def _compare(self, files: Fetcher, run: Run, place: Place) -> None:
        """Look at a file that was taken. One that has changed is not taken again, unless it is of another run."""
        assert run.url is not None
        now = self.floor.clock()
        try:
            file = await files.get(run.url, self.desk.labs.body, Marks(run.etag, run.modified))
            if file is None or digest(file) == run.digest:
                return await self.taker.fail(run, place, book.looked(run, now), None)
            said = await self._read(run, file)
        except (Transient, Missing, Refused):
            # It was good when it was taken; what became of it since is the lab's own affair.
            return await self.taker.fail(run, place, book.looked(run, now), None)
        began = said.started.isoformat() if said.started else ""
        anew = book.again(run)
        if began and began != run.began and not anew.ended:
            return await self._record(anew, place, file, said)
        after, told = book.changed(run, digest(file), now)
        rejection = Rejection(run.url, after.reason, run.executor, size=len(file.body)) if told else None
        await self.taker.fail(run, place, after, rejection)

    async def _failed(self, run: Run, place: Place, exc: Exception) -> None:
        error, now = _known(exc, run.name), self.floor.clock()
        after = book.failed(run, str(error)[:1000], now, self.remote.poll)
        log.warning("remote: run in trouble", remote=self.remote.name, run=run.name, error=after.reason)
        final = isinstance(error, Refused) or after.ended
        told = final and (after.reason != run.reason or after.ended)
        path = run.url or self.remote.manifest
        rejection = Rejection(path, after.reason, run.executor, _faults(error)) if told else None
        await self.taker.fail(run, place, after, rejection)


def digest(file: File) -> str:
    return hashlib.sha256(file.body).hexdigest()


def _known(exc: Exception, what: str) -> NetciError:
    """The error as one of ours. What is none is a bug, and no reason to stop looking at others."""
    if isinstance(exc, NetciError):
        return exc
    log.error("remote: broke", what=what, exc_info=exc)
    return Transient(f"{what}: {type(exc).__name__}")


def _faults(error: NetciError) -> tuple[Fault, ...]:
    return error.faults if isinstance(error, Faulty) else ()


def files_of(settings: Settings, name: str) -> AbstractAsyncContextManager[Fetcher]:
    """What fetches for a remote, within the reach that the configuration gives."""
    return fetcher(name, Reach(settings.outgoing.allow_private), f"netci (+{settings.public_url})", TIMEOUT)


def make_pollers(desk: LabDesk) -> Iterator[tuple[str, RemotePoller]]:
    """A poller for each remote that has a manifest, by the name of its lease."""
    reading = asyncio.Lock()
    for remote in desk.floor.settings.remotes:
        if remote.manifest:
            yield f"remote:{remote.name}", RemotePoller(desk, remote, reading)
