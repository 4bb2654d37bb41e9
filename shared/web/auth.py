"""Who asks, when a token is shown: which token it is, what it may, how often.

``Authorization: Bearer netci_…``, or in SQUAD's words ``Authorization: token …`` and ``Auth-Token: …``. A token that is
shown and does not hold is 401 even where none is needed: whoever sends one means to be somebody.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from aiohttp import web

from shared.db.pool import Pool
from shared.db.tokens import check, used
from shared.errors import Refused
from shared.model.tokens import Right, Token
from shared.web.client import address_of
from shared.web.rates import Allowance, Rates

TOKEN = web.RequestKey("token", Token)


_SELDOM = timedelta(minutes=1)
"""Last use is not kept more often."""


class Unauthorized(Refused):
    """A token is needed, and none that holds was shown."""

    status_hint = 401

    def __init__(self, text: str = "") -> None:
        super().__init__(text, headers={"WWW-Authenticate": 'Bearer realm="netci"'})


class Forbidden(Refused):
    """The token does not have this right."""

    status_hint = 403


class Exhausted(Refused):
    """Too many requests."""

    status_hint = 429


def shown(request: web.Request) -> str:
    """The token that the request shows, "" if none."""
    words = request.headers.get("Authorization", "").split()
    if len(words) == 2 and words[0].lower() in ("bearer", "token"):
        return words[1]
    if words:
        raise Unauthorized("Authorization: Bearer netci_…")
    return request.headers.get("Auth-Token", "").strip()


class Gate:
    """Checks tokens for one process. `rates` gives the buckets of tokens, by their ids."""

    def __init__(self, pool: Callable[[], Pool], clock: Callable[[], datetime], rates: Callable[[], Rates]) -> None:
        self._pool = pool
        self._clock = clock
        self._rates = rates
        self._used: dict[str, datetime] = {}

    async def token(self, request: web.Request) -> Token | None:
        """The token shown; None if none is. Raises Unauthorized for one that does not hold."""
        if not (text := shown(request)):
            return None
        try:
            token = await check(self._pool(), text, now := self._clock())
        except Refused as exc:
            raise Unauthorized(str(exc)) from None
        if now - self._used.get(token.id, now - _SELDOM) >= _SELDOM:
            self._used[token.id] = now
            await used(self._pool(), token.id, address_of(request))
        request[TOKEN] = token
        return token

    async def require(self, request: web.Request, right: Right) -> Token:
        """A token that has `right` for at least something. Raises Unauthorized, Forbidden."""
        token = await self.token(request)
        if token is None:
            raise Unauthorized(f"a token with the scope {right} is needed: Authorization: Bearer netci_…")
        if not (token.admin or any(s.right is right for s in token.scopes)):
            raise Forbidden(f"token {token.id} lacks the scope {right}; it has {', '.join(map(str, token.scopes))}")
        return token

    def allow(self, token: Token) -> Allowance:
        """Count one request of the token. Raises Exhausted."""
        allowance = self._rates().ask(token.id)
        if allowance.wait:
            raise Exhausted(
                f"over {allowance.rate:g} requests a second: send results in batches", headers=allowance.headers
            )
        return allowance
