"""Who is told of what: the filters that an endpoint asks for, and the rights that its owner has now. Pure.

An endpoint has no rights of its own. They are those of the token that made it or of that token's successor, else of
another token of the same remote that may manage webhooks; an endpoint without any is to be disabled. Operators make
endpoints without a token, and say themselves what is seen.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from shared.events import Envelope
from shared.model.tokens import Right, Token
from shared.web.audience import EVERYTHING, Audience, audience_of

OPERATOR = Token("", "an operator", "", ())


@dataclass(frozen=True, slots=True)
class Wish:
    """What an endpoint wants to hear of. An empty tuple means all."""

    types: tuple[str, ...] = ()
    projects: tuple[str, ...] = ()
    streams: tuple[str, ...] = ()
    remotes: tuple[str, ...] = ()
    series: tuple[int, ...] = ()

    def wants(self, event: Envelope) -> bool:
        """Whether the event passes each filter; one that tells nothing of streams passes no filter of streams."""
        about = event.data
        pairs: Iterable[tuple[Sequence[Any], Any]] = (
            (self.types, event.type), (self.projects, event.project), (self.streams, about.get("stream")),
            (self.remotes, about.get("remote")), (self.series, about.get("series")),
        )  # fmt: skip
        return all(not wanted or value in wanted for wanted, value in pairs)


class Owned(Protocol):
    """Of an endpoint what its rights follow from."""

    @property
    def remote(self) -> str: ...
    @property
    def token_id(self) -> str: ...
    @property
    def sees(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Held:
    """A token as it stands: `after` is the one that it succeeded by rotation."""

    token: Token
    after: str
    revoked: bool

    def holds(self, now: datetime) -> bool:
        return not self.revoked and (self.token.expires is None or self.token.expires > now)


def holder(hook: Owned, tokens: Mapping[str, Held], now: datetime) -> Token | None:
    """Whose rights an endpoint has now; None: nobody's any more."""
    if not hook.token_id:
        return OPERATOR
    successors = {held.after: id_ for id_, held in tokens.items() if held.after and not held.revoked}
    found, at = None, hook.token_id
    while at in tokens:
        found = tokens[at].token if tokens[at].holds(now) else found
        at = successors.get(at, "")
    return found or _colleague(hook.remote, tokens, now)


def _colleague(remote: str, tokens: Mapping[str, Held], now: datetime) -> Token | None:
    if not remote:
        return None
    fit = (
        h.token
        for h in tokens.values()
        if h.holds(now) and h.token.remote == remote and not h.token.sandbox and h.token.may(Right.HOOKS)
    )
    return max(fit, key=lambda token: (token.expires or now, token.id), default=None)


def sees(hook: Owned, token: Token, event: Envelope) -> bool:
    """Whether this may be told to who has the rights of `token`."""
    audience = _of_operator(hook) if token is OPERATOR else audience_of(token)
    return audience.sees(event.visibility, event.project, str(event.data.get("remote") or ""))


def _of_operator(hook: Owned) -> Audience:
    if hook.sees == "operator":
        return EVERYTHING
    return Audience(projects=None if hook.sees == "project" else frozenset(), remote=hook.remote)
