"""Whose questions are answered with more than the public sees: holders of tokens, by the token they show."""

from aiohttp import web

from services.report.web.front import Front
from services.report.web.signing import signed_in
from shared.model.tokens import Token
from shared.web.auth import TOKEN, Gate
from shared.web.rates import Rates

_RATES = Rates()


async def asker(front: Front, request: web.Request) -> Token | None:
    """The token that is shown, or on a page who is signed in; None if nobody is. Raises Unauthorized for a token that
    is shown and does not hold.
    """
    if TOKEN in request:
        return request[TOKEN]
    shown = await Gate(lambda: front.floor.pool, front.floor.clock, lambda: _RATES).token(request)
    return shown or (await signed_in(front, request) if not request.path.startswith("/api/") else None)


def owns(token: Token | None, remote: str) -> bool:
    """Whether what only its owner may know of a remote is for the holder."""
    return token is not None and (token.admin or token.remote == remote)
