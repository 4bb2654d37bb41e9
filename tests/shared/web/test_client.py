"""The client's address is believed from our proxies only."""

import pytest

from shared.web.client import client_address, networks

OURS = networks(["127.0.0.1", "10.0.0.0/8", "::1"])


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("192.0.2.1", "", "192.0.2.1"),
        ("192.0.2.1", "198.51.100.9", "192.0.2.1"),
        ("127.0.0.1", "198.51.100.9", "198.51.100.9"),
        ("127.0.0.1", "1.2.3.4, 198.51.100.9", "198.51.100.9"),
        ("127.0.0.1", "198.51.100.9, 10.1.1.1", "198.51.100.9"),
        ("127.0.0.1", "10.1.1.2, 10.1.1.1", "10.1.1.2"),
        ("127.0.0.1", "198.51.100.9, <script>", "127.0.0.1"),
        ("::1", "2001:db8::7", "2001:db8::7"),
        ("", "198.51.100.9", "198.51.100.9"),
    ],
)
def test_address(peer: str, forwarded: str, client: str) -> None:
    assert client_address(peer, forwarded, OURS) == client


def test_a_name_is_no_network() -> None:
    with pytest.raises(ValueError, match="proxy"):
        networks(["proxy"])
