"""What every event is: a frozen body, and the CloudEvents 1.0 envelope it travels in.

The wire form is structured-mode JSON (https://github.com/cloudevents/spec, v1.0). `sequence` is a string, as
CloudEvents integers are 32 bits wide; it is empty until the sequencer has numbered the event. An event's `id`
never changes: a redelivery, a replay and a webhook retry all carry the same one.
"""

from datetime import datetime
from typing import Any, ClassVar, Literal, Self
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

PREFIX = "dev.netci."
LIMIT = 20_000
"""Bytes of one event on the wire. Documents are blobs, reached through their run."""

Visibility = Literal["public", "project", "operator"]


class Event(BaseModel):
    """The body of an event. Subclasses name a `kind`; fields are only ever added, and then with a default."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    kind: ClassVar[str]
    edition: ClassVar[int] = 1
    visibility: ClassVar[Visibility] = "public"

    project: str

    @classmethod
    def type_name(cls) -> str:
        """The CloudEvents type: ``dev.netci.branch.cut.v1``."""
        return f"{PREFIX}{cls.kind}.v{cls.edition}"

    def subject(self) -> str:
        """What the event is about, as ``series/17``; one word of the field and one id."""
        raise NotImplementedError(type(self).__name__)

    def correlation(self) -> str:
        """The series or branch that this belongs to."""
        return self.subject()


class Envelope(BaseModel):
    """An event on its way: CloudEvents attributes around a body that is still plain JSON."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    specversion: Literal["1.0"] = "1.0"
    id: UUID
    type: str
    source: str
    time: AwareDatetime
    subject: str = ""
    datacontenttype: str = "application/json"
    sequence: str = ""
    correlation: str = ""
    traceparent: str = ""
    project: str = ""
    visibility: Visibility = "operator"
    data: dict[str, Any] = Field(default_factory=dict)

    @classmethod
    def around(
        cls,
        event: Event,
        *,
        id: UUID,
        source: str,
        time: datetime,
        traceparent: str = "",
        visibility: Visibility | None = None,
    ) -> Self:
        """Wrap `event`, said by `source` (a room) at `time`. Raises ValueError when it is over `LIMIT`.

        `visibility` is given where it is that of the thing told of, such as a run that is nobody else's business.
        """
        made = cls(
            id=id,
            type=event.type_name(),
            source=f"/netci/{source}",
            time=time,
            subject=event.subject(),
            correlation=event.correlation(),
            traceparent=traceparent,
            project=event.project,
            visibility=visibility or event.visibility,
            data=event.model_dump(mode="json"),
        )
        if (size := len(made.wire())) > LIMIT:
            raise ValueError(f"{made.type} is {size} bytes; events stay under {LIMIT}")
        return made

    def wire(self) -> bytes:
        """The event as bytes of JSON, the same for every reader."""
        return self.model_dump_json().encode()
