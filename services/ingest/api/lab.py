"""What a lab may ask of itself: which token this is, and what it may."""

from datetime import datetime

from pydantic import BaseModel

from services.ingest.api.desk import LabDesk
from shared.model.tokens import Right
from shared.web.openapi import Asked, Endpoint


class Whoami(BaseModel):
    """A token as its holder may know it."""

    token: str
    name: str
    remote: str
    scopes: list[str]
    projects: list[str]
    sandbox: bool
    expires: datetime | None
    counts: bool
    now: datetime


async def whoami(desk: LabDesk, asked: Asked) -> Whoami:
    token = asked.holder
    return Whoami(
        token=token.id, name=token.name, remote=token.remote, scopes=[str(s) for s in token.scopes],
        projects=list(token.projects), sandbox=token.sandbox, expires=token.expires,
        counts=desk.floor.settings.reports(token.remote) and not token.sandbox, now=desk.floor.clock(),
    )  # fmt: skip


ENDPOINTS: tuple[Endpoint[LabDesk], ...] = (
    Endpoint(
        "GET", "/api/v1/lab", "Which token this is, which remote it speaks for and what it may", whoami,
        tag="labs", right=Right.RESULTS, answer=Whoami,
        description="`counts` says whether the remote's results count for verdicts.",
    ),
)  # fmt: skip
