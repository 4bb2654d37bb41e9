"""Machines' addresses do not reach the public."""

import pytest

from services.executor.labels import hidden, label

HOSTS = ("root@vm1", "ci@10.0.0.5:2222", "root@[fd00::1]:2200", "root@vm10.lab.example")


def test_hosts_have_numbers() -> None:
    assert [label(host, HOSTS) for host in HOSTS] == ["host1", "host2", "host3", "host4"]
    assert label("root@other", HOSTS) == "a machine"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("root@vm1: lost while running 'dmesg'", "host1: lost while running 'dmesg'"),
        ("vm1: gone; root@vm10.lab.example: gone", "host1: gone; host4: gone"),
        ("ci@10.0.0.5:2222: refused (10.0.0.5, port 2222)", "host2: refused (host2, port 2222)"),
        ("root@[fd00::1]:2200: no route to fd00::1", "host3: no route to host3"),
        ("jump@bastion.example:22: its host key", "a machine: its host key"),
        ("connect to 192.0.2.7:22 failed", "connect to a machine failed"),
        ("vm12 and vm1-old and 6.1.0 stay", "vm12 and vm1-old and 6.1.0 stay"),
    ],
)
def test_reasons_name_no_address(text: str, shown: str) -> None:
    assert hidden(text, HOSTS) == shown
