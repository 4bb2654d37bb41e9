"""Who asks: the address of the client, believed from a proxy only if that proxy is one of ours.

A forwarded header is written by anyone; only the part that a trusted proxy added is true. The list is read from the
right: the first address that is not a trusted proxy is the client.
"""

import ipaddress
from collections.abc import Iterable, Sequence

from aiohttp import web

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

TRUSTED: web.AppKey[Sequence[Network]] = web.AppKey("trusted")


def networks(names: Iterable[str]) -> tuple[Network, ...]:
    """Addresses and networks as written in the configuration. Raises ValueError."""
    return tuple(ipaddress.ip_network(name, strict=False) for name in names)


def is_trusted(address: str, proxies: Sequence[Network]) -> bool:
    """Whether `address` is one of our proxies."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(ip in network for network in proxies)


def client_address(peer: str, forwarded: str, proxies: Sequence[Network]) -> str:
    """The client's address, from the socket's `peer` and the X-Forwarded-For header."""
    if not forwarded or not (peer == "" or is_trusted(peer, proxies)):
        return peer
    chain = [part.strip().strip("[]") for part in forwarded.split(",")]
    for address in reversed(chain):
        if not _is_address(address):
            return peer
        if not is_trusted(address, proxies):
            return address
    return chain[0]


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def address_of(request: web.Request) -> str:
    """The address that limits and logs go by. "" where there is none (a unix socket without a proxy's header)."""
    peer = request.transport.get_extra_info("peername") if request.transport else None
    host = str(peer[0]) if isinstance(peer, tuple) else ""
    proxies = request.app.get(TRUSTED, ())
    return client_address(host, request.headers.get("X-Forwarded-For", ""), proxies)
