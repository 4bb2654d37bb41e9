"""How netci goes to a Patchwork server, whatever it wants there: by which name, with which token.

What is read from it is ingest's to know, what is posted report's. The practice server is in `practice/patchwork`.
"""

from shared.http import Http
from shared.settings import Patchwork, secret


def http_for(config: Patchwork, contact: str, *, name: str, connections: int, token: str = "") -> Http:
    """A client for this server; `name` labels its metrics.

    Its User-Agent says who asks and where to complain, which operators of public servers and walls against bots want
    to know. Reading needs no token, and a wrong one makes even public reads fail.
    """
    headers = {"Accept": "application/json", "User-Agent": config.user_agent or f"netci (+{contact})"}
    if token:
        headers["Authorization"] = f"Token {token}"
    seconds = config.timeout.total_seconds()
    return Http(name, config.url.rstrip("/"), headers=headers, timeout=seconds, connections=connections)


def token_of(config: Patchwork) -> str:
    """The token, "" where none is named. Raises Refused if it is named and not there."""
    return secret(env=config.token_env, file=config.token_file, what="patchwork token")
