"""Patchwork's JSON, API 1.2 to 1.4, as far as we read it. What strangers wrote is made fit to store on the way in.

Knows nothing of requests. A row that does not fit raises pydantic's ValidationError; unknown fields are ignored,
as every version of the API adds some.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

import structlog
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from shared.errors import Transient
from shared.formats.clean import cut, plain

log = structlog.get_logger(__name__)


def _text(value: object) -> object:
    """None is "": Patchwork has null where nothing was given. NULs and control characters go."""
    if value is None:
        return ""
    return cut(plain(value), 4000) if isinstance(value, str) else value


def _message_id(value: object) -> object:
    text = _text(value)
    return text.strip().removeprefix("<").removesuffix(">") if isinstance(text, str) else text


def _date(text: str) -> str:
    """A date that cursors can be computed of: a month 13 would break every later poll."""
    if not 1970 <= datetime.fromisoformat(text).year < 9999:
        raise ValueError("not of our time")
    return text


Text = Annotated[str, BeforeValidator(_text)]
MessageId = Annotated[str, BeforeValidator(_message_id)]
Id = Annotated[int, Field(ge=1, le=2**62)]
Count = Annotated[int, Field(ge=0, le=100_000)]


class Row(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class UserRow(Row):
    """A person (name, email) or a user (username, email)."""

    name: Text = ""
    username: Text = ""
    email: Text = ""


class MailRow(Row):
    """A patch or cover letter as a series lists it."""

    id: Id
    msgid: MessageId = ""
    name: Text = ""
    web_url: Text = ""
    mbox: Text = ""


class SeriesRow(Row):
    """A series, the same in lists and alone. Its patches come in the order of their Date headers, which is no order."""

    id: Id
    name: Text = ""
    web_url: Text = ""
    date: Text = ""
    submitter: UserRow | None = None
    version: Count = 1
    total: Count = 0
    received_total: Count = 0
    received_all: bool = False
    cover_letter: MailRow | None = None
    patches: tuple[MailRow, ...] = ()


class SeriesRef(Row):
    id: Id


class PatchRow(Row):
    """A patch as lists have it. `pull_url` is "URL ref"."""

    id: Id
    msgid: MessageId = ""
    state: Text = "new"
    archived: bool = False
    delegate: UserRow | None = None
    pull_url: Text = ""
    series: tuple[SeriesRef, ...] = ()


class Payload(Row):
    series: SeriesRef | None = None


class EventRow(Row):
    """An event. `date` stays the server's own string: it goes back in requests as it came."""

    id: Id
    category: Text = ""
    date: Annotated[
        str, Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?$"),
        AfterValidator(_date),
    ]  # fmt: skip
    payload: Payload = Payload()


class ProjectRow(Row):
    id: Id
    name: Text = ""
    link_name: Text = ""
    list_email: Text = ""


R = TypeVar("R", bound=Row)


def read(model: type[R], value: object) -> R:
    """One row. Raises Transient where it does not fit: a server in trouble answers anything."""
    try:
        return model.model_validate(value)
    except ValidationError as exc:
        fault = exc.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in fault["loc"])
        raise Transient(f"Patchwork's answer does not fit: {model.__name__} {where}: {fault['msg']}") from None


def read_all(model: type[R], values: Iterable[Any]) -> Iterator[R]:
    """The rows of a page. One that does not fit is logged and left out, so that it cannot hold up the others."""
    for value in values:
        try:
            yield model.model_validate(value)
        except ValidationError as exc:
            log.warning("patchwork: a row does not fit", row=model.__name__, error=str(exc)[:300])


def moment(text: str) -> datetime | None:
    """A mail's date as Patchwork gives it: UTC without a zone; None if it is none."""
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError:
        return None
