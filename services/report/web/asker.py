"""Whose questions are answered with more than the public sees: holders of tokens, by the token they show."""

from aiohttp import web

from services.report.web.front import Front
from shared.model.tokens import Token
from shared.web.auth import TOKEN, Gate
from shared.web.rates import Rates

_RATES = Rates()


async def asker(front: Front, request: web.Request) -> Token | None:
    """The token that is shown; None if none is. Raises Unauthorized for one that does not hold."""
    if TOKEN in request:
        return request[TOKEN]
    return await Gate(lambda: front.floor.pool, front.floor.clock, lambda: _RATES).token(request)


def owns(token: Token | None, remote: str) -> bool:
    """Whether what only its owner may know of a remote is for the holder."""
    return token is not None and (token.admin or token.remote == remote)
