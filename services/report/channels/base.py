"""What a channel is: somewhere outside where verdicts go. Patchwork checks today, mail and others later.

A channel turns a verdict into parcels (pure), and takes one parcel at a time there. It keeps nothing: which parcels
there are, which are open and which may be in doubt is written down by `intents` and `dispatch`.
"""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol

from services.report.verdicts import Verdict
from shared.settings import Project


@dataclass(frozen=True, slots=True)
class Address:
    """Where a patch of a series lives on the outside. `message_id` names the series on our own pages."""

    series: int
    patch: int
    external_patch: int
    message_id: str


@dataclass(frozen=True, slots=True)
class Parcel:
    """One value for one patch and context, ready to go.

    `key` is the number of its intent, 0 before it has one. `doubtful` says that an earlier attempt may have arrived:
    look before it is repeated. `account` is our own user there, and `last` the newest thing known to be ours in
    this place, where these are known.
    """

    project: str
    stream: str
    series: int
    patch: int
    external_patch: int
    context: str
    state: str
    text: str
    url: str
    key: int = 0
    doubtful: bool = False
    account: int | None = None
    last: int | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a parcel.

    posted: it is there, as `number`, by `account`. shadowed: it was compared with what is there (`found`).
    refused: the answer is final. again: it certainly did not arrive. doubt: it may have arrived.
    `wait` is how many seconds the other side asked us to wait.
    """

    outcome: Literal["posted", "shadowed", "refused", "again", "doubt"]
    text: str = ""
    number: int | None = None
    account: int | None = None
    found: str = ""
    wait: float | None = None


class Channel(Protocol):
    """See the module. What needs no connection is static, so that verdicts can be written while the outside is down."""

    name: ClassVar[str]

    @staticmethod
    def wanted(project: Project) -> bool:
        """Whether the project's configuration names this channel."""
        ...

    @staticmethod
    def compose(verdict: Verdict, stream: str, addresses: Sequence[Address], public_url: str) -> Sequence[Parcel]:
        """The parcels that say `verdict`. Pure."""
        ...

    @staticmethod
    def opened(project: Project, public_url: str) -> "AbstractAsyncContextManager[Channel]":
        """The channel of a project, with its connections and secrets. Raises Refused if it lacks what it needs."""
        ...

    async def deliver(self, parcel: Parcel) -> Receipt:
        """Take a parcel there, once: a doubtful one is looked up first. Never raises for what the outside does."""
        ...

    async def compare(self, parcel: Parcel) -> Receipt:
        """Look at what others say in the place of `parcel`, changing nothing."""
        ...
