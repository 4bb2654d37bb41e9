"""The shape and the limits of our own document of a run.

The cases are typed dictionaries and not models: ten thousand of them are common, and this halves the time they take.
What holds between two values is for `run_document`.
"""

import re
from datetime import datetime
from typing import Annotated, Any, Literal, NotRequired

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, FailFast, Field, with_config
from typing_extensions import TypedDict

CASES = 50_000
"""Cases of a document, subtests included."""
CHECKS = 1000
NAME = 512
"""Bytes of a name in UTF-8."""
DETAIL = 2000
CRASHES = 32
CRASH = 500
LINK = 2000
ATTEMPTS = 10
SECONDS = 10**7
DEVICE = 64 << 10
"""Bytes of the device as JSON."""

ResultWord = Literal["pass", "fail", "skip", "warn", "xfail", "xpass", "error", "not-run"]
CauseWord = Literal["patch", "test", "infra", "timeout", "crash"]
StateWord = Literal["success", "pending", "warning", "fail"]

Name = Annotated[str, Field(max_length=NAME, pattern=r"^[^\x00-\x1f\x7f-\x9f]+$")]
Fact = Annotated[str, Field(max_length=NAME, pattern=r"^[^\x00-\x1f\x7f-\x9f]*$")]
Detail = Annotated[str, Field(max_length=DETAIL)]
Crash = Annotated[str, Field(max_length=CRASH)]
Link = Annotated[str, Field(max_length=LINK, pattern=r"^(?:https?://[^\s\x00-\x1f\x7f-\x9f]+)?$")]
MessageId = Annotated[str, Field(max_length=NAME, pattern=r"^<?[^\s\x00-\x1f\x7f-\x9f<>]+>?$")]
Attempt = Annotated[int, Field(ge=0, lt=ATTEMPTS)]
Seconds = Annotated[float, Field(ge=0, le=SECONDS, allow_inf_nan=False)]


def _iso(value: object) -> object:
    """A time from a string; left to itself, pydantic takes one of digits for seconds since 1970."""
    if not isinstance(value, str):
        return value
    if not re.match(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ]", value):
        raise ValueError("no time")
    return datetime.fromisoformat(value)


Time = Annotated[AwareDatetime, BeforeValidator(_iso)]

_STRICT = ConfigDict(extra="forbid", strict=True)


@with_config(_STRICT)
class SubCase(TypedDict):
    """A subtest. Its attempt is that of its test, unless it says another."""

    test: Name
    result: ResultWord
    cause: NotRequired[CauseWord | None]
    attempt: NotRequired[Attempt]
    seconds: NotRequired[Seconds | None]
    detail: NotRequired[Detail]


@with_config(_STRICT)
class TestCase(SubCase):
    """A test, with its subtests in `cases`."""

    group: Name
    crashes: NotRequired[Annotated[list[Crash], Field(max_length=CRASHES)]]
    link: NotRequired[Link]
    cases: NotRequired[Annotated[list[SubCase], Field(max_length=CASES), FailFast()]]


@with_config(_STRICT)
class Check(TypedDict):
    """The result of one check on a series; `patch` is the number of the patch that it is of, 1 the first."""

    context: Name
    state: StateWord
    description: NotRequired[Detail]
    link: NotRequired[Link]
    patch: NotRequired[Annotated[int, Field(ge=1, le=10_000)]]


@with_config(_STRICT)
class Facts(TypedDict, total=False):
    """What was tested with what."""

    kernel_commit: Fact
    suite_commit: Fact
    config_digest: Fact
    toolchain: Fact
    image: Fact


# The lists stop at the first bad entry: `run_faults` finds the others, fifty and not fifty thousand.
CaseList = Annotated[list[TestCase], Field(max_length=CASES), FailFast()]
CheckList = Annotated[list[Check], Field(max_length=CHECKS), FailFast()]


class Batch(BaseModel):
    """Cases of a run that is open."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    cases: CaseList


class RunDocument(Batch):
    """A run as a whole: of one executor on a branch, or on a series, named by the message id of its first mail."""

    branch: Name | None = None
    series: MessageId | None = None
    executor: Name
    attempt: Attempt = 0
    started: Time | None = None
    ended: Time | None = None
    link: Link | None = None
    device: dict[str, Any] | None = None
    facts: Facts = Field(default_factory=Facts)
    planned: Annotated[int, Field(ge=0, le=10**6)] | None = None
    checks: CheckList = Field(default_factory=list)
