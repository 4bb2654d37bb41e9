"""Addresses and logins do not get out."""

import pytest

from services.report.hide import hide_addresses, host_label


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("root@vm1.example.org: refused", "…: refused"),
        ("ssh to 192.0.2.7:22 timed out", "ssh to … timed out"),
        ("[2001:db8::7] is away", "… is away"),
        ("fe80::1 is away", "… is away"),
        ("at 10:17 the disk was full", "at 10:17 the disk was full"),
        (
            "fetching from https://bot:s3cr3t@git.example.org/x failed",
            "fetching from https://…@git.example.org/x failed",
        ),
        ("https://s3cr3t@git.example.org", "https://…@git.example.org"),
        ("6.1.0 is too old", "6.1.0 is too old"),
    ],
)
def test_addresses_are_not_shown(text: str, shown: str) -> None:
    assert hide_addresses(text) == shown


@pytest.mark.parametrize(
    ("label", "shown"),
    [("vm1", "vm1"), ("vm1.lab.example.org", "vm1"), ("192.0.2.7", "host 3"), ("[2001:db8::7]", "host 3")],
)
def test_a_host_goes_by_its_name_or_number(label: str, shown: str) -> None:
    assert host_label(label, 3) == shown
