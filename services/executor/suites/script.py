"""Any command as a suite, added by configuration alone.

The contract is the one that scripts of NIPA's executors know: BRANCH, BASE and RESULTS_DIR in the
environment; exit code 0 passes, 4 skips, 5 warns, anything else fails. KTAP on standard output, if there is
any, gives the subtests.

With `compare` the command runs on the base and on the branch, and what counts are the lines that are new: so a tool
that says much of any kernel (coccicheck, a build of the documentation) speaks of the series alone.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import ClassVar, Literal, Self

from pydantic import BaseModel, Field, field_validator, model_validator

from services.executor.drivers.base import MIB, Command, shell
from services.executor.suites.base import Invocation, Place, Spoken, Step, Table
from shared.formats import ktap
from shared.formats.clean import cut, plain
from shared.formats.new_lines import counted, new_lines
from shared.formats.selftests import dashed
from shared.model.results import Case, Cause, Result
from shared.settings import Duration

SKIP = 4
WARN = 5


class ScriptConfig(Table):
    """``suite = { kind = "script", command = "./run-all", test = "smoke" }``

    `command` is a line for the host's shell or a list of words. With `checkout` true the branch's tree is
    handed over and the command runs in it; a list of paths hands over only those. `group` and `test` name the
    result. With `compare` it runs on the base as well, each time for as long as `time_limit`, and lines that are new
    fail it: those that fit a glob of `counts` and none of `ignore`.
    """

    kind: Literal["script"] = "script"
    command: str | tuple[str, ...]
    test: str
    group: str = "scripts"
    checkout: bool | tuple[str, ...] = False
    compare: bool = False
    counts: tuple[str, ...] = ("*",)
    ignore: tuple[str, ...] = ()
    time_limit: Duration = timedelta(hours=1)
    env: Mapping[str, str] = Field(default_factory=dict)

    @field_validator("command")
    @classmethod
    def _something(cls, command: str | tuple[str, ...]) -> str | tuple[str, ...]:
        if not command or not command[0].strip():
            raise ValueError("command is empty")
        return command

    @model_validator(mode="after")
    def _compares_trees(self) -> Self:
        if self.compare and self.checkout is False:
            raise ValueError("compare wants a checkout: there is nothing to run on otherwise")
        return self


# What the command says is marked, line by line, so that it cannot say how it ended.
_COMPARE = """
one() {
    side=$1 tree=$2 commit=$3
    shift 3
    mkdir -p "$RESULTS_DIR/$side"
    (
        cd "$tree" || exit 1
        RESULTS_DIR=$RESULTS_DIR/$side NETCI_SIDE=$side NETCI_COMMIT=$commit "$@"
        echo $? >"$RESULTS_DIR/$side.code"
    ) </dev/null 2>&1 | sed "s/^/$side: /"
    printf '\nexit %s %s\n' "$side" "$(cat "$RESULTS_DIR/$side.code")"
}
head=$1 base=$2 was=$3
shift 3
rm -f "$RESULTS_DIR/base.code" "$RESULTS_DIR/head.code"
one base "$base" "$was" "$@"
one head "$head" "$NETCI_COMMIT" "$@"
"""

_EXIT = re.compile(r"exit (base|head) ([0-9]{1,3})")


@dataclass(frozen=True, slots=True)
class Sides:
    """What the command said on either side, and how it ended; None where it did not end."""

    base: tuple[str, ...]
    head: tuple[str, ...]
    base_code: int | None
    head_code: int | None


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

    def base_paths(self) -> tuple[str, ...] | None:
        return self.paths() if self._config.compare else None

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
        limit = config.time_limit
        if config.compare:
            words = str(place.tree), str(place.base_tree), place.base, *command.argv
            command, limit = shell(_COMPARE, *words, env=env, cwd=cwd, cap=64 * MIB), 2 * limit
        return (Invocation(self.groups()[0], test, command, limit, test),)

    def keep(self, invocation: Invocation, spoken: Spoken) -> Mapping[str, bytes]:
        if not self._config.compare:
            return {}
        new = self._new(invocation, _sides(spoken.stdout))
        return {"new-lines": "".join(f"{line}\n" for line in new).encode(errors="replace")} if new else {}

    def _new(self, invocation: Invocation, sides: Sides) -> list[str]:
        tree = invocation.command.cwd
        folders = ("", "") if tree is None else (str(tree.parent / "base"), str(tree))
        before, after = (counted(lines, self._config.counts, self._config.ignore) for lines in (sides.base, sides.head))
        return new_lines(before, after, folders)

    def _compared(self, invocation: Invocation, spoken: Spoken) -> Case:
        (first, *_) = ktap.to_cases(
            "", group=invocation.group, test=invocation.test, exit_code=spoken.exit_code, timed_out=spoken.timed_out,
            seconds=spoken.seconds, attempt=spoken.attempt, log=spoken.log,
        )  # fmt: skip
        if first.result is not Result.PASS:
            return first
        sides = _sides(spoken.stdout)
        result, cause, detail = _verdict(sides, self._new(invocation, sides))
        return replace(first, result=result, cause=cause, detail=detail)

    def read(self, invocation: Invocation, spoken: Spoken) -> tuple[Case, ...]:
        if self._config.compare:
            return (self._compared(invocation, spoken),)
        code = 0 if spoken.exit_code == WARN else spoken.exit_code
        first, *rest = ktap.to_cases(
            spoken.stdout.decode(errors="replace"), group=invocation.group, test=invocation.test, exit_code=code,
            timed_out=spoken.timed_out, seconds=spoken.seconds, attempt=spoken.attempt, log=spoken.log,
        )  # fmt: skip
        if spoken.exit_code == WARN and first.result in (Result.PASS, Result.SKIP):
            first = replace(first, result=Result.WARN, detail=first.detail or f"exit={WARN}")
        return (first, *rest)


def _sides(stdout: bytes) -> Sides:
    said: dict[str, list[str]] = {"base": [], "head": []}
    codes: dict[str, int] = {}
    for line in stdout.decode(errors="replace").split("\n"):
        side, mark, text = line.partition(": ")
        if mark and side in said:
            said[side].append(text)
        elif found := _EXIT.fullmatch(line):
            codes[found[1]] = int(found[2])
    return Sides(tuple(said["base"]), tuple(said["head"]), codes.get("base"), codes.get("head"))


def _verdict(sides: Sides, new: list[str]) -> tuple[Result, Cause | None, str]:
    """The branch answers for what it adds: new lines, and a failure that the base has not."""
    before, after = sides.base_code, sides.head_code
    if before is None or after is None:
        return (
            Result.ERROR,
            Cause.TEST,
            "it did not come to its end on " + ("the base" if before is None else "the branch"),
        )
    if after == SKIP:
        return Result.SKIP, None, f"exit={after}"
    if after not in (0, WARN) and before in (0, WARN, SKIP):
        return Result.FAIL, None, f"exit={after}, on the base {before}"
    if new:
        return Result.FAIL, None, cut(f"{len(new)} new: {plain(new[0])}", 500)
    if after != 0:
        same = "" if after == WARN else ", and fails on the base as well"
        return Result.WARN, None, f"exit={after}{same}"
    return Result.PASS, None, ""
