"""A run's results into the lab's spool: the body of `Sink` on a machine that isn't the server's."""

import asyncio
import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import structlog

from services.executor.endings import Ending
from services.executor.harvest import gathering, part
from services.executor.labels import public
from services.executor.remote.documents import as_text, batch, fit_for_path
from services.executor.remote.journal import Record, replace
from services.executor.remote.spool import Spool, SpooledRun
from services.executor.resume import History
from services.executor.schedule import Task
from services.executor.suites.attempt import Attempt
from shared.errors import InfraError, Superseded
from shared.model.results import Case, Cause, Result

log = structlog.get_logger(__name__)

LOGS = "logs.pack"
FILES = 400
"""Attempts of a run whose output is a file of its own, linked from its case; the others' is posted in one pack."""


class SpoolSink:
    """For one run. `deadline` bounds what is said of its end."""

    def __init__(self, spool: Spool, run: SpooledRun, deadline: datetime, hosts: Sequence[str] = ()) -> None:
        self._spool, self._run, self._deadline, self._hosts = spool, run, deadline, hosts
        self._owner = sum(1 for _ in run.journal.of("owner"))

    # What stands

    async def stands(self) -> History:
        records = list(self._run.journal.records.values())
        finished = [_case(test) for record in records for test in record.get("tests", ())]
        ended = [record for record in records if "number" in record and record["kind"] != "began"]
        hosts = {(r["group"], r["test"]): r["host"] for r in ended}
        return History(finished, self._interrupted(ended), hosts, self._seconds())

    def _interrupted(self, ended: Sequence[Record]) -> Counter[tuple[str, str, int]]:
        """Attempts of former owners that began and never ended. What this one lost with a machine, its board knows."""
        done = {(r["group"], r["test"], r["number"]) for r in ended}
        began = {(r["group"], r["test"], r["number"], r["owner"]) for r in self._run.journal.of("began")}
        return Counter(key[:3] for key in began if key[3] < self._owner and key[:3] not in done)

    def _seconds(self) -> dict[tuple[str, str], float]:
        kept = json.loads(self._spool.read(self._durations) or "[]")
        return {(group, test): seconds for group, test, seconds in kept}

    @property
    def _durations(self) -> str:
        return f"durations-{self._run.executor}.json"

    # What comes

    async def planned(self, tests: int, expected_end: datetime) -> None:
        await self._say(self._expect(expected_end) | {"planned": tests})

    def _expect(self, end: datetime) -> dict[str, Any]:
        return {"kind": "expect", "end": min(end, self._deadline).isoformat()}

    async def began(self, task: Task, host: str) -> None:
        group, test = task.key
        await self._say({
            "kind": "began", "group": group, "test": test, "number": task.number, "host": host, "owner": self._owner,
        })  # fmt: skip

    async def ended(self, attempt: Attempt, host: str, expected_end: datetime) -> None:
        name = await asyncio.to_thread(self._keep_files, attempt)
        if name:
            await self._say({"kind": "artifact", "name": name, "file": f"files/{_mark(attempt)}"})
        where = {"group": attempt.group, "test": attempt.test, "number": attempt.number, "host": host}
        # One record: what is posted and that it has ended are known together, or not at all.
        await self._say(self._told(attempt.cases) | where | {"log": name})
        await self._say(self._expect(expected_end))
        await self._learn(attempt)

    def _keep_files(self, attempt: Attempt) -> str:
        """Keep what the attempt said; the name of its file on the server, "" if it goes into the pack."""
        name = f"{attempt.group}/{attempt.test}/{attempt.number}.log"
        if not attempt.files:
            return ""
        if sum(1 for _ in self._run.journal.of("artifact")) >= FILES or not fit_for_path(name):
            replace(self._run.folder / "parts" / _mark(attempt), part(attempt.files))
            return ""
        replace(self._run.folder / "files" / _mark(attempt), as_text(attempt.files))
        return name

    async def _learn(self, attempt: Attempt) -> None:
        """How long it takes, for the next run's order. A retry, or what was cut off, says nothing of that."""
        if attempt.number == 0 and attempt.cases and attempt.cases[0].result is not Result.NOT_RUN:
            known, key = self._seconds(), (attempt.group, attempt.test)
            known[key] = known.get(key, attempt.seconds) * 0.6 + attempt.seconds * 0.4
            rows = [[group, test, seconds] for (group, test), seconds in known.items()]
            await asyncio.to_thread(self._spool.write, self._durations, json.dumps(rows))

    async def not_run(self, cases: Sequence[Case]) -> None:
        if cases:
            await self._say(self._told(cases))

    def _told(self, cases: Sequence[Case]) -> dict[str, Any]:
        """What is to be posted of these cases, and what we need of them should we go on with the run."""
        tests = [_row(case) for case in cases if not case.subtest]
        if not cases:
            return {"kind": "ended"}
        return {"kind": "cases", "body": batch(public(cases, self._hosts)), "tests": tests}

    async def host(self, address: str, state: str, reason: str) -> None:
        if state == "broken":
            log.warning("run: a host is broken", host=address, reason=reason)
        self._ours()

    async def end(self, ending: Ending) -> None:
        if (self._run.folder / "parts").is_dir():
            await self._say(await asyncio.to_thread(self._pack))
        await self._say({
            "kind": "end", "state": ending.state, "cause": ending.cause, "reason": ending.reason,
            "toolchain": ending.toolchain,
        })  # fmt: skip

    def _pack(self) -> Record:
        run = self._run
        whole = gathering(f"{run.executor} on {run.branch.name}, {run.branch.commit}")
        for place in sorted((run.folder / "parts").iterdir(), key=lambda p: (p.stat().st_mtime_ns, p.name)):
            try:
                whole.take(place.read_bytes())
            except (OSError, InfraError) as exc:
                # A run must be able to end without a log that its disk has lost.
                log.error("run: a log is lost", name=place.name, error=str(exc))
        replace(run.folder / LOGS, whole.packed())
        return {"kind": "artifact", "name": LOGS, "file": LOGS}

    async def _say(self, record: Record) -> None:
        self._ours()
        await asyncio.to_thread(self._run.journal.append, record)
        self._spool.stir()

    def _ours(self) -> None:
        owners = sum(1 for _ in self._run.journal.of("owner"))
        if self._run.over or owners != self._owner:
            raise Superseded(f"run {self._run.key} is closed, or taken up by another since")


def _mark(attempt: Attempt) -> str:
    return hashlib.sha256(f"{attempt.group}\0{attempt.test}\0{attempt.number}".encode()).hexdigest()[:16]


def _row(case: Case) -> list[Any]:
    return [case.group, case.test, str(case.result), case.attempt, str(case.cause) if case.cause else None]


def _case(row: Sequence[Any]) -> Case:
    group, test, result, attempt, cause = row
    return Case(group, test, Result(result), attempt=attempt, cause=Cause(cause) if cause else None)
