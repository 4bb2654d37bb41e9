"""Any command as a suite, added by configuration alone.

The contract is the one that scripts of NIPA's executors know: BRANCH, BASE and RESULTS_DIR in the
environment; exit code 0 passes, 4 skips, 5 warns, anything else fails. KTAP on standard output, if there is
any, gives the subtests.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from services.executor.drivers.base import Command, shell
from services.executor.suites.base import Invocation, Place, Spoken, Step
from shared.formats import ktap
from shared.formats.selftests import dashed
from shared.model.results import Case, Result
from shared.settings import Duration

WARN = 5


class ScriptConfig(BaseModel):
    """``suite = { kind = "script", command = "./run-all", test = "smoke" }``

    `command` is a line for the host's shell or a list of words. With `checkout` true the branch's tree is
    handed over and the command runs in it; a list of paths hands over only those. `group` and `test` name the
    result.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["script"] = "script"
    command: str | tuple[str, ...]
    test: str
    group: str = "scripts"
    checkout: bool | tuple[str, ...] = False
    time_limit: Duration = timedelta(hours=1)
    env: Mapping[str, str] = Field(default_factory=dict)

    @field_validator("command")
    @classmethod
    def _something(cls, command: str | tuple[str, ...]) -> str | tuple[str, ...]:
        if not command or not command[0].strip():
            raise ValueError("command is empty")
        return command


class Script:
    """See `base.Suite`."""

    name: ClassVar[str] = "script"
    Config: ClassVar[type[BaseModel]] = ScriptConfig

    def __init__(self, config: ScriptConfig) -> None:
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
        text = config.command
        command = shell(text, env=env, cwd=cwd) if isinstance(text, str) else Command(text, env=env, cwd=cwd)
        return (Invocation(self.groups()[0], test, command, config.time_limit, test),)

    def read(self, invocation: Invocation, spoken: Spoken) -> tuple[Case, ...]:
        code = 0 if spoken.exit_code == WARN else spoken.exit_code
        first, *rest = ktap.to_cases(
            spoken.stdout.decode(errors="replace"), group=invocation.group, test=invocation.test, exit_code=code,
            timed_out=spoken.timed_out, seconds=spoken.seconds, attempt=spoken.attempt, log=spoken.log,
        )  # fmt: skip
        if spoken.exit_code == WARN and first.result in (Result.PASS, Result.SKIP):
            first = replace(first, result=Result.WARN, detail=first.detail or f"exit={WARN}")
        return (first, *rest)
