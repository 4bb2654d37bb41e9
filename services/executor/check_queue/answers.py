"""Answers into the ledger, one by one: the database's body of `CheckSink`. Fenced by the run's lease number.

An answer, its documents and its row of the plan are one transaction, over before the next question begins: whoever
takes over after a kill asks what has no answer, and nothing twice.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from time import monotonic

import structlog

from services.executor.check_queue.store import SQL, PlanRow
from services.executor.checking.sink import Task
from services.executor.checks.base import Said
from services.executor.steady import steadily
from shared.blobs.record import keep
from shared.db.pool import AWAY, Connection
from shared.errors import Superseded
from shared.floor import Floor
from shared.formats.check_report import CheckReport, ReportedFinding, artifact, dump
from shared.formats.clean import plain
from shared.ledger import Check, Ledger, OpenRun
from shared.model.ids import RunId
from shared.model.results import Cause

log = structlog.get_logger(__name__)

SELDOM = 1.0
"""Seconds between two preliminary descriptions of one question that are kept."""

MOST_FILES = 50
LONGEST_NAME = 200


@dataclass(frozen=True)
class AnswerSink:
    """For one plan and one owner of it. Every write is begun anew while the database is away.

    `commits` are the patches' by number, the head's by 0; none before the series is applied.
    """

    floor: Floor
    ledger: Ledger
    plan: PlanRow
    run: OpenRun
    commits: Mapping[int, str] = field(default_factory=dict)
    _said: dict[Task, float] = field(default_factory=dict)

    async def began(self, task: Task) -> None:
        key = (self.plan.id, task.check, task.patch)
        row = await steadily(
            lambda: self.floor.pool.fetchval(SQL["began"], *key, self.run.id, self.run.lease_number)
        )  # fmt: skip
        if row is None:
            raise Superseded(f"run {self.run.id} is closed, or held by a newer lease than {self.run.lease_number}")

    async def described(self, task: Task, text: str) -> None:
        now = monotonic()
        if now - self._said.get(task, -SELDOM) < SELDOM:
            return
        self._said[task] = now
        try:
            await self.floor.pool.execute(SQL["described"], self.plan.id, task.check, task.patch, plain(text))
        except AWAY as exc:
            log.debug("checks: a description is dropped", error=str(exc))

    async def answered(self, task: Task, said: Said, seconds: float) -> None:
        self._said.pop(task, None)
        if said.cause is Cause.INFRA:
            log.warning("checks: infra", check=task.check, patch=task.patch, text=said.text)
            await self._transact(lambda conn: self._end(conn, task, "infra", said.text, "", seconds))
            return
        documents = await self._documents(task, said, seconds)

        async def write(conn: Connection) -> None:
            # The run's row first, as every writer of it: locks taken in one order cannot meet.
            for name, (sha256, size) in documents.items():
                await self.ledger.attach(conn, self.run, name, sha256, size)
            await self.ledger.check(conn, self._check(task, said))
            await self._write(conn, task, "answered", "", said.text, seconds)
            if said.cause is None:
                await conn.execute(SQL["took"], self.plan.project, task.check, seconds)

        await self._transact(write)
        log.info("check", check=task.check, patch=task.patch, state=said.state, seconds=round(seconds, 2))

    def _check(self, task: Task, said: Said) -> Check:
        return Check(
            self.plan.project, self.plan.series_id, self.plan.revision, task.check, said.state, RunId(self.run.id),
            task.patch, plain(said.text),
        )  # fmt: skip

    async def unasked(self, task: Task, why: str) -> None:
        await self._transact(lambda conn: self._end(conn, task, "unasked", why, "", None))

    async def _end(
        self, conn: Connection, task: Task, state: str, why: str, described: str, seconds: float | None
    ) -> None:
        if await conn.fetchval(SQL["hold_run"], self.run.id, self.run.lease_number) is None:
            raise Superseded(f"run {self.run.id} is closed, or held by a newer lease than {self.run.lease_number}")
        await self._write(conn, task, state, why, described, seconds)

    async def _write(
        self, conn: Connection, task: Task, state: str, why: str, described: str, seconds: float | None
    ) -> None:
        key = (self.plan.id, task.check, task.patch)
        await conn.execute(SQL["ended"], *key, state, plain(why), plain(described), seconds)

    async def _documents(self, task: Task, said: Said, seconds: float) -> dict[str, tuple[str, int]]:
        """The answer's parts as artifacts: stored before the transaction that refers to them."""
        names = list(said.files)[:MOST_FILES]
        files = {f"files/{plain(name)[:LONGEST_NAME]}": said.files[name] for name in names}
        parts: dict[str, bytes] = {"report.json": dump(self._report(task, said, seconds, tuple(files))), **files}
        if said.log:
            parts["log"] = said.log.encode("utf-8", "replace")
        return {artifact(task.patch, task.check, what): await self._kept(data) for what, data in parts.items()}

    async def _kept(self, data: bytes) -> tuple[str, int]:
        return await steadily(lambda: keep(self.floor, data)), len(data)

    def _report(self, task: Task, said: Said, seconds: float, files: tuple[str, ...]) -> CheckReport:
        return CheckReport(
            check=task.check, patch=task.patch, state=said.state, text=said.text,
            findings=tuple(
                ReportedFinding(f.text, f.path, f.line, f.level, f.new, f.context) for f in said.findings
            ),
            repeat=said.repeat, notes=said.notes, counts=dict(said.counts), seconds=round(seconds, 3),
            cause=said.cause or "", tree=self.plan.tree, base=self.plan.base,
            commit=self.commits.get(task.patch, ""), log=artifact(task.patch, task.check, "log") if said.log else "",
            files=tuple(artifact(task.patch, task.check, name) for name in files),
        )  # fmt: skip

    async def _transact(self, write: Callable[[Connection], Awaitable[object]]) -> None:
        async def once() -> None:
            async with self.floor.pool.acquire() as conn, conn.transaction():
                await write(conn)

        await steadily(once)
