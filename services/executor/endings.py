"""How a run ends, and an attempt that has no result of its own: never started, cut off, without a machine. Pure.

None of the latter is a failure: the test is not to blame, and whoever folds results must see that it is not.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import cast

from services.executor.schedule import Task
from services.executor.suites.attempt import Attempt
from shared.errors import NetciError
from shared.model.results import Case, Cause, Result


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run ended. `cause` is "" for one that ran to its end, whatever its tests said; else infra or timeout."""

    state: str = "done"
    cause: str = ""
    reason: str = ""
    toolchain: str = ""


def late(task: Task) -> Case:
    """It was not started, for want of time."""
    return _not_run(task, Cause.TIMEOUT, "not started: it would not end by the branch's deadline")


def lost(task: Task) -> Case:
    """Owner after owner of the run died while it ran."""
    return _not_run(task, Cause.INFRA, f"interrupted {task.broken} times, not tried again")


def breaks_hosts(task: Task, why: NetciError) -> Attempt:
    """It lost machine after machine. What it said on the last one is kept."""
    group, test = task.key
    files = cast(Mapping[str, bytes], why.hints.get("files") or {})
    detail = f"lost {task.broken + 1} machines, not tried on another: {why}"[:500]
    case = replace(_not_run(task, Cause.INFRA, detail), log=next(iter(files), ""))
    return Attempt(group, test, task.number, (case,), files, 0.0)


def was_cut_off(done: Attempt) -> bool:
    """Whether the attempt was ended by its time limit."""
    return bool(done.cases) and done.cases[0].cause is Cause.TIMEOUT


def cut_off(done: Attempt) -> Attempt:
    """The same, ended by the branch's deadline before its own limit: it might have passed.

    Of a retry only the output is kept: a row of its own would hide the failure before it.
    """
    first = done.cases[0]
    case = replace(first, result=Result.NOT_RUN, detail="cut off: the branch's deadline came while it ran")
    return replace(done, cases=() if done.number else (case,))


def _not_run(task: Task, cause: Cause, detail: str) -> Case:
    group, test = task.key
    return Case(group, test, Result.NOT_RUN, cause=cause, attempt=task.number, detail=detail)
