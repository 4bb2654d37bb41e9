"""Which addresses may be reached where a stranger names the host: on the open internet, and nowhere else.

A host is resolved here once, all that it leads to is judged, and the addresses are handed back so that the caller
connects to just those: asked again, the same name might lead elsewhere. What is private and may be reached all the
same, the configuration says (``[outgoing] allow_private``).
It refuses to know who connects, and by which protocol.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from shared.errors import Refused, Transient

IPv4 = ipaddress.IPv4Address
IPv6 = ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""From a host and a port to its addresses, as text."""

_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
_CARRIERS = tuple(ipaddress.IPv6Network(prefix) for prefix in ("64:ff9b::/96", "::ffff:0:0/96", "::ffff:0:0:0/96"))
"""NAT64, IPv4-mapped, IPv4-translated: what they lead to is the IPv4 address in their last four bytes."""


_ASKING = ThreadPoolExecutor(64, thread_name_prefix="resolve")
"""Threads of their own: one that asks for a name whose server is silent is stuck for long, given up or not, and the
loop's own few would be missing for all else."""


async def system_resolve(host: str, port: int) -> Sequence[str]:
    """Ask the machine's resolver."""
    loop = asyncio.get_running_loop()
    found = await loop.run_in_executor(_ASKING, partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM))
    return [str(row[4][0]) for row in found]


@dataclass(frozen=True, slots=True)
class Reach:
    """How far a stranger's word may lead us: the open internet, and the networks of ours that are named here."""

    allow_private: tuple[Network, ...] = ()
    resolve: Resolve = system_resolve
    patience: float = 20.0

    def may(self, address: str) -> bool:
        """Whether we may connect to an address."""
        return self._may(ipaddress.ip_address(address.partition("%")[0]))

    def ours(self, address: str) -> bool:
        """Whether an address is in one of the networks that are named here."""
        ip = ipaddress.ip_address(address.partition("%")[0])
        return any(ip in network for network in self.allow_private)

    def _may(self, ip: IPv4 | IPv6) -> bool:
        if any(ip in network for network in self.allow_private):
            return True
        if isinstance(ip, IPv4):
            return _is_open(ip)
        if (carried := _carried(ip)) is not None:
            return self._may(carried)
        if ip.sixtofour is not None:
            # Relays of 6to4 take the packet out of its wrapping wherever they stand. Whether the wrapping itself is of
            # the open internet, versions of Python disagree.
            return self._may(ip.sixtofour)
        return ip in _GLOBAL_UNICAST and _is_open(ip)

    async def addresses(self, host: str, port: int) -> tuple[str, ...]:
        """All addresses of a host, to connect to these and to no other.

        Refused when one of them may not be reached or `host` is no name at all; Transient when it does not resolve
        now.
        """
        try:
            async with asyncio.timeout(self.patience):
                found = tuple(dict.fromkeys(await self.resolve(host, port)))
        except UnicodeError as error:
            raise Refused(f"{host[:200]!r} is no name of a host") from error
        except TimeoutError as error:
            raise Transient(f"{host} cannot be resolved: no answer in {self.patience:g} s") from error
        except OSError as error:
            raise Transient(f"{host} cannot be resolved: {error}") from error
        if not found:
            raise Transient(f"{host} has no address")
        # One that is private is enough: whoever mixes them wants us to reach it.
        if not all(self.may(address) for address in found):
            raise Refused(f"{host} is on a private network")
        return found


def _is_open(ip: IPv4 | IPv6) -> bool:
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


def _carried(ip: IPv6) -> IPv4 | None:
    return IPv4(int(ip) & 0xFFFFFFFF) if any(ip in prefix for prefix in _CARRIERS) else None
