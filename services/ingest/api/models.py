"""What labs send of a run besides its cases, and what they are told of it. Strict: an unknown key is a fault."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from shared.formats import run_model as fields

_STRICT = ConfigDict(extra="forbid", strict=True, frozen=True)


class RunStart(BaseModel):
    """A run that begins: on a branch, or on a series named by the message id of any of its mails."""

    model_config = _STRICT

    branch: fields.Name | None = None
    series: fields.MessageId | None = None
    executor: fields.Name
    attempt: fields.Attempt = 0
    expected_end: fields.Time | None = None
    planned: int = Field(default=0, ge=0, le=10**6)
    device: dict[str, Any] | None = None
    facts: fields.Facts = Field(default_factory=fields.Facts)
    link: fields.Link | None = None
    context: fields.Name | None = Field(
        default=None, description="of a run on a series; needed where the token does not name exactly one"
    )


class Heartbeat(BaseModel):
    """The lab is at it. `expected_end` moves the end, no further than `labs.longest` after the start."""

    model_config = _STRICT

    expected_end: fields.Time | None = None
    planned: int | None = Field(default=None, ge=0, le=10**6)


class Finish(BaseModel):
    """The run is over. `checks` are of a series; left out, the cases decide."""

    model_config = _STRICT

    ended: fields.Time | None = None
    reason: fields.Detail = ""
    checks: fields.CheckList = Field(default_factory=list)


class Abandon(BaseModel):
    """The run will give nothing more, through no fault of its tests."""

    model_config = _STRICT

    reason: fields.Detail = ""


class Artifact(BaseModel):
    """A file of a run, by what is in it."""

    name: str
    sha256: str
    size: int


class RunTold(BaseModel):
    """A run as its lab may know it. An open one must be heard of by `deadline`; `url` is where others see it."""

    run: int
    remote: str
    executor: str
    attempt: int
    branch: str
    series: str
    state: str
    cause: str
    reason: str
    sandbox: bool
    started: datetime
    expected_end: datetime | None
    deadline: datetime | None
    ended: datetime | None
    planned: int
    counts: dict[str, int]
    url: str
    warnings: list[str] = Field(default_factory=list)


class RunState(RunTold):
    """The same with what has arrived, for a lab that goes on where it was."""

    cases: int
    artifacts: list[Artifact]


class Taken(BaseModel):
    """A batch: how many of its cases were new. Those that were there stay as they were first told."""

    run: int
    taken: int
    known: int
    deadline: datetime | None
