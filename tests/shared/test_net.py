"""Which addresses may be reached: under every wrapping, and only what was judged comes back."""

import asyncio
import socket
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Address, IPv4Network, IPv6Address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import Refused, Transient
from shared.net import Reach, Resolve, system_resolve

PRIVATE = [
    "127.0.0.1", "10.1.2.3", "192.168.1.1", "172.16.0.1", "169.254.169.254", "0.0.0.0", "0.1.2.3", "100.64.0.1",
    "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255", "192.0.2.1", "198.18.0.1", "203.0.113.9",
    "::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd12::1", "fec0::1", "ff02::1", "ff0e::1", "2001:db8::1",
    "100::1", "4000::1", "::8.8.8.8", "::127.0.0.1",
]  # fmt: skip

WRAPPED = {
    "mapped": "::ffff:{v4}",
    "translated": "::ffff:0:{v4}",
    "nat64": "64:ff9b::{v4}",
    "6to4": "2002:{hex}::1",
}
"""How IPv6 can carry an IPv4 address that a packet then reaches."""

NEVER = ["64:ff9b:1::808:808", "2001:0:808:808::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2"]
"""NAT64 of somebody's own and Teredo: nobody says what they lead to."""

OPEN = ["8.8.8.8", "145.40.73.55", "2604:1380:40f1:3f00::1"]


def wrap(kind: str, v4: str) -> str:
    number = int(IPv4Address(v4))
    return WRAPPED[kind].format(v4=v4, hex=f"{number >> 16:x}:{number & 0xFFFF:x}")


def answers(*addresses: str) -> Resolve:
    async def resolve(host: str, port: int) -> Sequence[str]:
        return addresses

    return resolve


@pytest.mark.parametrize("address", [*PRIVATE, *NEVER])
def test_what_is_not_of_the_open_internet(address: str) -> None:
    assert not Reach().may(address)


@pytest.mark.parametrize("address", OPEN)
def test_what_is(address: str) -> None:
    assert Reach().may(address)


@pytest.mark.parametrize("kind", WRAPPED)
@pytest.mark.parametrize("v4", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "100.64.0.1", "224.0.0.1", "8.8.8.8"])
def test_a_wrapped_address_is_judged_by_what_it_carries(kind: str, v4: str) -> None:
    assert Reach().may(wrap(kind, v4)) == Reach().may(v4)


@pytest.mark.parametrize("address", PRIVATE)
def test_a_private_network_that_is_named_may_be_reached(address: str) -> None:
    plain = address.partition("%")[0]
    assert Reach((ip_network(plain),)).may(address)
    assert not Reach((ip_network("192.168.77.0/24"), ip_network("fd77::/16"))).may(address)


@pytest.mark.parametrize("kind", WRAPPED)
def test_what_is_named_may_be_reached_wrapped_too(kind: str) -> None:
    reach = Reach((ip_network("127.0.0.0/8"),))
    assert reach.may(wrap(kind, "127.0.0.1"))
    assert not reach.may(wrap(kind, "10.0.0.1"))


@given(st.ip_addresses(v=4))
def test_no_wrapping_reaches_farther_than_the_address_itself(ip: IPv4Address) -> None:
    for reach in (Reach(), Reach((IPv4Network("10.0.0.0/8"),))):
        assert {reach.may(wrap(kind, str(ip))) for kind in WRAPPED} == {reach.may(str(ip))}


@given(st.ip_addresses(v=6))
def test_what_may_be_reached_is_global_unicast_or_carries_something_open(ip: IPv6Address) -> None:
    carried = IPv4Address(int(ip) & 0xFFFFFFFF)
    assert not Reach().may(str(ip)) or 0x20 <= ip.packed[0] <= 0x3F or Reach().may(str(carried))


# Names


async def test_the_addresses_come_back_once_each_in_their_order() -> None:
    reach = Reach(resolve=answers("8.8.8.8", "2604:1380::1", "8.8.8.8"))
    assert await reach.addresses("host.example", 443) == ("8.8.8.8", "2604:1380::1")


async def test_one_private_address_among_others_refuses_the_host() -> None:
    with pytest.raises(Refused, match=r"host\.example is on a private network"):
        await Reach(resolve=answers("8.8.8.8", "10.0.0.1")).addresses("host.example", 443)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.1", "2130706433", "0x7f000001", "::1"])
async def test_loopback_under_all_its_names(host: str) -> None:
    with pytest.raises(Refused, match="private network"):
        await Reach().addresses(host, 443)
    both = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
    assert set(await Reach(both).addresses(host, 443)) <= {"127.0.0.1", "::1"}


async def test_a_host_without_an_address() -> None:
    with pytest.raises(Transient, match="has no address"):
        await Reach(resolve=answers()).addresses("host.example", 443)


async def test_a_name_that_does_not_resolve_may_do_so_later() -> None:
    async def fails(host: str, port: int) -> Sequence[str]:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    with pytest.raises(Transient, match=r"cannot be resolved: .*Temporary failure"):
        await Reach(resolve=fails).addresses("host.example", 443)


async def test_a_resolver_that_says_nothing_is_not_waited_for() -> None:
    async def silent(host: str, port: int) -> Sequence[str]:
        await asyncio.Event().wait()
        return []

    with pytest.raises(Transient, match=r"no answer in 0\.01 s"):
        await Reach(resolve=silent, patience=0.01).addresses("host.example", 443)


@pytest.mark.parametrize("host", ["a..b", "x" * 64 + ".example"])
async def test_what_is_no_name_is_refused(host: str) -> None:
    with pytest.raises(Refused, match="is no name of a host"):
        await Reach().addresses(host, 443)


def test_ours_is_what_is_named_and_nothing_else() -> None:
    reach = Reach((IPv4Network("10.0.0.0/8"), ip_network("fd77::/16")))
    told = {address: reach.ours(address) for address in ("10.1.2.3", "fd77::1%eth0", "8.8.8.8", "127.0.0.1", "fd78::1")}
    assert [address for address, ours in told.items() if ours] == ["10.1.2.3", "fd77::1%eth0"]


async def test_names_are_asked_for_beside_the_threads_that_all_else_needs() -> None:
    busy, loop = threading.Event(), asyncio.get_running_loop()
    with ThreadPoolExecutor(1) as only:
        loop.set_default_executor(only)
        held = loop.run_in_executor(None, busy.wait)
        try:
            assert "127.0.0.1" in await asyncio.wait_for(system_resolve("127.0.0.1", 80), 10)
        finally:
            busy.set()
            await held
