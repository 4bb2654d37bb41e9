"""Asking for the checks of a series once more: for who shows an operator's token."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from services.report.web.front import Front
from services.report.web.series import find
from shared import recheck
from shared.errors import Missing, Refused
from shared.model.tokens import Right
from shared.web.openapi import Asked, Endpoint, Parameter

_Key = Annotated[str, Field(pattern=r"^[^\x00]*$", max_length=512)]
_Context = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,255}$")]


class Recheck(BaseModel):
    """Which checks, and why. An empty list means all of them."""

    model_config = ConfigDict(extra="forbid")

    checks: list[_Context] = Field(default=[], max_length=100, description="by their contexts")
    why: str = Field(default="", max_length=500, description="kept, and shown to who waits")


class Rechecked(BaseModel):
    """What was asked for. It is planned within seconds; `/api/v1/series/{key}` shows it."""

    series: int
    checks: list[str]


async def ask(front: Front, asked: Asked) -> Any:
    """Raises Missing for a series that there is not, Refused for one that nobody waits for."""
    number = await find(front, str(asked.values["key"]))
    if (series := await front.read.one("series", number)) is None:
        raise Missing(f"no series {number}")
    project = front.floor.settings.projects.get(series["project"])
    if project is None or project.checking is None:
        raise Refused(f"{series['project']} has no checks of ours")
    if series["state"] != "active":
        raise Refused(f"the series is {series['state']}: nobody waits for its checks")
    wish: Recheck = asked.body
    async with front.floor.pool.acquire() as conn, conn.transaction():
        await recheck.ask(conn, number, wish.checks, wish.why, f"token {asked.holder.id}")
    return Rechecked(series=number, checks=sorted(set(wish.checks)))


ENDPOINTS: tuple[Endpoint[Front], ...] = (
    Endpoint(
        "POST", "/api/v1/series/{key:.+}/recheck", "Ask the checks of a series again", ask,
        tag="checks", right=Right.ADMIN, body=Recheck, answer=Rechecked, status=202,
        parts=(Parameter("key", _Key, "Its number, or a message id.", example="1"),),
        statuses=(404,),
    ),
)  # fmt: skip
