"""What waits in a lab's spool and how it stands with the server, read from its disk. Changes nothing."""

from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from typing import Any

from services.executor.remote.config import LabSettings
from services.executor.remote.spool import Spool, SpooledRun, is_owned
from services.executor.remote.state import read


def status(settings: LabSettings) -> dict[str, Any]:
    """All of it, for programs."""
    spool = Spool(settings.data, mend=False)
    return {
        "server": settings.server,
        "running": is_owned(settings.data),
        **asdict(read(spool)),
        "runs": [_run(run) for run in sorted(spool.runs.values(), key=lambda r: (r.branch.announced, r.key))],
        "rejected": spool.rejected(),
    }


def _run(run: SpooledRun) -> dict[str, Any]:
    state = "told" if run.over else "begun" if run.begun else "waits"
    return {
        "branch": run.branch.name, "executor": run.executor, "announced": run.branch.announced.isoformat(),
        "state": state, "run": run.run_id, "attempt": run.attempt, "unsent": len(run.unsent()),
        "rejected": len(run.rejections),
    }  # fmt: skip


def _when(text: str) -> str:
    return f"{datetime.fromisoformat(text):%Y-%m-%d %H:%M:%S} UTC" if text else "never"


def lines(facts: dict[str, Any]) -> Iterator[str]:
    """The same for a terminal, the troubles first."""
    for key, word in (("denied", "DENIED"), ("trouble", "WAITS"), ("following", "DEAF")):
        if facts[key]:
            yield f"{word:<8}{facts[key]}"
    yield f"{'runs' if facts['running'] else 'stopped':<8}{facts['server']}, last answer {_when(facts['contact'])}"
    for run in facts["runs"]:
        more = f", {run['rejected']} refused" if run["rejected"] else ""
        yield f"{run['state']:<8}{run['executor']} on {run['branch']}: {run['unsent']} records to post{more}"
    for kept in facts["rejected"]:
        yield f"refused {kept['executor']} on {kept['branch']}: {kept['kind']}: {kept['why']} ({kept['file']})"
