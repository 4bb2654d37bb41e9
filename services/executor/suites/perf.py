"""A benchmark: a command run several times, its metrics with their units, medians and spread.

A figure is no verdict: the exit codes of the repetitions are, and limits where an operator has set some. Metrics are
shown as subtests, and all values are kept in ``metrics.json``. What output is read is `shared/formats/metrics.py`'s.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from services.executor.drivers.base import Command, shell
from services.executor.suites.base import Invocation, Place, Spoken, Step, Table
from shared.formats import ktap, metrics
from shared.formats.ktap_report import unique
from shared.formats.metrics import Measured, Metric
from shared.formats.selftests import dashed
from shared.model.results import Case, Cause, Result
from shared.settings import Duration


class Limit(BaseModel):
    """What a metric's median may be, in the metric's own unit, and its spread, as a share of the median."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    min: float | None = None
    max: float | None = None
    spread: float | None = Field(default=None, gt=0)


class PerfConfig(Table):
    """``suite = { kind = "perf", command = "./bench.sh", test = "tcp-stream", repeat = 5 }``

    `command` is a line for the host's shell or a list of words, run `repeat` times for at most `time_limit` each;
    NETCI_REPETITION counts them from 0. `limits` are by a metric's name: a median beyond them fails the test, a
    larger spread warns. `checkout`, `group`, `test` and `env` are as in ``script``.
    """

    kind: Literal["perf"] = "perf"
    command: str | tuple[str, ...]
    test: str
    group: str = "perf"
    repeat: int = Field(default=5, ge=1, le=1000)
    limits: Mapping[str, Limit] = Field(default_factory=dict)
    checkout: bool | tuple[str, ...] = False
    time_limit: Duration = timedelta(minutes=5)
    env: Mapping[str, str] = Field(default_factory=dict)

    @field_validator("command")
    @classmethod
    def _something(cls, command: str | tuple[str, ...]) -> str | tuple[str, ...]:
        if not command or not command[0].strip():
            raise ValueError("command is empty")
        return command


# The first repetition that fails is the last.
_REPEAT = """
times=$1
shift
NETCI_REPETITION=0
while [ "$NETCI_REPETITION" -lt "$times" ]; do
    export NETCI_REPETITION
    "$@" </dev/null || exit $?
    NETCI_REPETITION=$((NETCI_REPETITION + 1))
done
"""


class Perf:
    """See `base.Suite`."""

    name: ClassVar[str] = "perf"
    Config: ClassVar[type[BaseModel]] = PerfConfig

    def __init__(self, config: PerfConfig) -> None:
        self._config = config

    def paths(self) -> tuple[str, ...] | None:
        checkout = self._config.checkout
        if checkout is False:
            return None
        return () if checkout is True else checkout

    def groups(self) -> tuple[str, ...]:
        return (dashed(self._config.group),)

    def prepare(self, place: Place) -> tuple[Step, ...]:
        results = place.results / dashed(self._config.test)
        return (Step("prepare", Command(("mkdir", "-p", str(results))), timedelta(minutes=1)),)

    def listing(self, place: Place) -> Command | None:
        return None

    def invocations(self, listing: str, place: Place) -> tuple[Invocation, ...]:
        config, test = self._config, dashed(self._config.test)
        env = dict(config.env) | {
            "BRANCH": place.branch, "BASE": place.base, "RESULTS_DIR": str(place.results / test),
            "NETCI_COMMIT": place.commit,
        }  # fmt: skip
        cwd = place.work if config.checkout is False else place.tree
        words = ("sh", "-c", config.command) if isinstance(config.command, str) else config.command
        command = shell(_REPEAT, str(config.repeat), *words, env=env, cwd=cwd)
        return (Invocation(self.groups()[0], test, command, config.time_limit * config.repeat, test),)

    def read(self, invocation: Invocation, spoken: Spoken) -> tuple[Case, ...]:
        text = spoken.stdout.decode(errors="replace")
        first, *below = ktap.to_cases(
            text, group=invocation.group, test=invocation.test, exit_code=spoken.exit_code,
            timed_out=spoken.timed_out, seconds=spoken.seconds, attempt=spoken.attempt, log=spoken.log,
        )  # fmt: skip
        measured = metrics.read(text)
        seen = {case.subtest: 1 for case in below}
        cases = [self._case(first, metric, unique(metric.name, seen)) for metric in measured.metrics]
        return (self._judged(first, measured, cases), *below, *cases)

    def _case(self, test: Case, metric: Metric, name: str) -> Case:
        result, why = judge(metric, self._config.limits.get(metric.name, Limit()))
        detail = f"{metric}{f': {why}' if why else ''}"
        return Case(test.group, test.test, result, name, attempt=test.attempt, detail=detail, log=test.log)

    def _judged(self, first: Case, measured: Measured, cases: list[Case]) -> Case:
        if first.result is not Result.PASS:
            return first
        for bad in (Result.FAIL, Result.WARN):
            if hit := next((case for case in cases if case.result is bad), None):
                return replace(first, result=bad, detail=f"{hit.subtest}: {hit.detail}")
        missing = [name for name in self._config.limits if name not in {m.name for m in measured.metrics}]
        if measured.faults or missing or not cases:
            why = measured.faults[0] if measured.faults else f"no value of {missing[0]}" if missing else "no metric"
            return replace(first, result=Result.ERROR, cause=Cause.TEST, detail=why)
        return replace(first, detail=f"{cases[0].subtest}: {cases[0].detail}") if len(cases) == 1 else first

    def keep(self, invocation: Invocation, spoken: Spoken) -> Mapping[str, bytes]:
        measured = metrics.read(spoken.stdout.decode(errors="replace"))
        return {"metrics.json": document(measured)} if measured.metrics else {}


def judge(metric: Metric, limit: Limit) -> tuple[Result, str]:
    """What the limit makes of it, and why."""
    if limit.min is not None and metric.median < limit.min:
        return Result.FAIL, f"below {limit.min:.6g}"
    if limit.max is not None and metric.median > limit.max:
        return Result.FAIL, f"above {limit.max:.6g}"
    if limit.spread is not None and metric.spread > limit.spread:
        return Result.WARN, f"spreads more than {limit.spread:.1%}"
    return Result.PASS, ""


def document(measured: Measured) -> bytes:
    """All that was measured, as JSON: it can be read again as a benchmark's own output."""
    found = {
        metric.name: {
            "value": list(metric.values), "unit": metric.unit, "better": metric.better,
            "median": metric.median, "min": min(metric.values), "max": max(metric.values), "spread": metric.spread,
        }
        for metric in measured.metrics
    }  # fmt: skip
    return json.dumps({"metrics": found}, ensure_ascii=False, indent=1).encode() + b"\n"
