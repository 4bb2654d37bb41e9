"""What a source of series can do, and the values that go between it and the room.

A source knows a server or an archive and nothing of our tables: it is told where it stood (`Place`) and answers
what it saw. The room decides what is new, remembers, and asks for the mails of one series at a time (`Parcel`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from shared.model.mails import Person


@dataclass(frozen=True, slots=True)
class Place:
    """Where a source stood: `cursor` in its own words ("" is nowhere yet), `seen` its marks inside the overlap."""

    cursor: str = ""
    seen: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sighting:
    """A series that a source has. The counts are None where the source only gave its number.

    `ticket` is what the source wants handed back to fetch it, as JSON; {} where it must be looked at first.
    """

    external_id: int
    received: int | None = None
    total: int | None = None
    complete: bool = True
    subject: str = ""
    message_id: str = ""
    web_url: str = ""
    author: Person = field(default_factory=lambda: Person("", ""))
    ticket: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class News:
    """What came since a `Place`, and the place to go on from. They are stored together or not at all."""

    place: Place
    sightings: Sequence[Sighting]


@dataclass(frozen=True, slots=True)
class PatchState:
    """How a patch stands at its source. `state` is the source's word; "deleted" is ours for one that is gone."""

    external_id: int
    series: tuple[int, ...]
    state: str
    delegate: str = ""
    archived: bool = False


@dataclass(frozen=True, slots=True)
class Piece:
    """One patch as the source lists it; what it says is in the mail."""

    external_id: int
    message_id: str
    web_url: str = ""


@dataclass(frozen=True, slots=True)
class Parcel:
    """One series with its mails: what the source says of it, and `mbox`, which says the rest.

    `total` is how many patches the mails announce, `received` how many the source has. `cover_name` is the
    cover's subject as the source lists it, for where its mail was not fetched.
    """

    external_id: int
    total: int
    received: int
    version: int
    name: str
    author: Person
    web_url: str
    mailed: datetime | None
    pieces: tuple[Piece, ...]
    mbox: bytes
    cover_message_id: str = ""
    cover_name: str = ""
    cover_mbox: bytes | None = None


@dataclass(frozen=True, slots=True)
class Pull:
    """A pull request: `url` is "URL ref" as mailed, `external_id` the patch that carries it."""

    url: str
    external_id: int


class Source(Protocol):
    """A place that series come from. Every method raises Transient when the place does not answer as it should."""

    name: str
    project: str

    @property
    def label(self) -> str:
        """Its name in pauses and leases: ``netdev/patchwork``."""
        ...

    async def open(self) -> Mapping[str, Any]:
        """Find out what is there; the facts are shown. Raises Refused if the configured project is not."""
        ...

    async def start(self) -> Place:
        """The place of the newest news, for a fresh start."""
        ...

    async def news(self, place: Place) -> News:
        """Series completed since `place`; all there ever were from an empty one."""
        ...

    async def recent(self, mark: int) -> Sequence[Sighting]:
        """The newest series, at least down to the number `mark` if it is not 0, complete or not."""
        ...

    async def queue(self) -> Sequence[PatchState]:
        """Every patch that waits for somebody."""
        ...

    async def look_up(self, series: Sequence[int]) -> Mapping[int, Sequence[PatchState]]:
        """The patches of these series, whatever their state; an empty sequence for a series that is gone."""
        ...

    async def listings(self, wanted: Sequence[int]) -> Mapping[int, Sighting]:
        """Sightings of these series, as far as they are cheap to have in bulk."""
        ...

    async def look(self, external_id: int) -> Sighting:
        """One series, with its counts and ticket. Raises Missing if it is gone."""
        ...

    async def parcel(self, ticket: Mapping[str, Any]) -> Parcel:
        """The mails of the series of a sighting's `ticket`. Raises Missing if it is gone."""
        ...

    async def pull_of(self, *, patch: int = 0, message_id: str = "") -> Pull | None:
        """The pull request in patch number `patch`, or in the mail `message_id`; None if it is none."""
        ...
