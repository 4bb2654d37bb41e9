"""Links and machines as they are written, and the words for both ends."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from services.executor.drivers.dualhost import ends
from services.executor.drivers.dualhost.config import DualHostConfig, LinkConfig

LINK = {
    "dut": "dut", "peer": "peer", "netif": "eth1", "peer_netif": "eth2", "local_v4": "192.0.2.1/24",
    "remote_v4": "192.0.2.2/24", "local_v6": "2001:db8::1/64", "remote_v6": "2001:db8::2/64",
}  # fmt: skip


def a_config(**changes: Any) -> DualHostConfig:
    machines = {"dut": {"address": "dut.lab"}, "peer": {"address": "root@peer.lab:2222"}}
    config = {"kind": "dualhost", "machines": machines, "links": {"pair": LINK}, "agent": True, "host_keys": ["k"]}
    return DualHostConfig.model_validate(config | changes)


def a_link(**changes: Any) -> LinkConfig:
    return LinkConfig.model_validate(LINK | changes)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"links": {"pair": LINK | {"dut": "dut9"}}}, "there is no machines.dut9"),
        ({"links": {"pair": LINK | {"peer": "dut"}}}, "no peer of itself"),
        ({"links": {"pair": LINK | {"remote_v4": None}}}, "local_v4 and remote_v4 are given both or not at all"),
        ({"links": {"pair": LINK | {"netif": "eth1; reboot"}}}, "is no name of an interface"),
        ({"links": {"pair": LINK | {"remote": 'root@"peer"'}}}, "cannot stand in net.config"),
        ({"links": {"pair": {key: LINK[key] for key in ("dut", "peer", "netif", "peer_netif")}}}, "has addresses"),
        ({"links": {}}, "at least 1"),
        ({"machines": {"dut": {"address": "dut lab"}}}, "is not a host to reach"),
        ({"machines": {"dut": {"address": "dut", "power": {"kind": "steam"}}}}, "'ipmi'"),
        ({"modules": "/lib/modules/6.1"}, "belong to a kernel that is an image"),
    ],
)  # fmt: skip
def test_what_is_written_wrongly_is_told(changes: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        a_config(**changes)


def test_net_config_is_what_the_kernels_tests_read() -> None:
    assert ends.net_config(a_link(local_prefix_v6="2001:db8:1::/64"), "root@192.0.2.2") == (
        "NETIF=eth1\nLOCAL_V4=192.0.2.1\nREMOTE_V4=192.0.2.2\nLOCAL_V6=2001:db8::1\nREMOTE_V6=2001:db8::2\n"
        "LOCAL_PREFIX_V6=2001:db8:1::/64\nREMOTE_TYPE=ssh\nREMOTE_ARGS=root@192.0.2.2\n"
    )
    alone = a_link(peer=None, local_v6=None, remote_v6=None)
    assert ends.net_config(alone, "") == (
        "NETIF=eth1\nLOCAL_V4=192.0.2.1\nREMOTE_V4=192.0.2.2\nREMOTE_TYPE=netns\nREMOTE_ARGS=netci-peer\n"
    )


def test_what_machines_say_of_themselves_is_capped() -> None:
    said = (
        b"bios_version="
        + b"7" * 1000
        + b"\nnot a fact\n-x=1\nnic_driver=ice\n"
        + b"".join(b"k%d=v\n" % n for n in range(99))
    )
    found = ends.read_facts(said)
    assert len(found["bios_version"]) == 300
    assert found["nic_driver"] == "ice"
    assert len(found) < 40


def run(command: Any, home: Path) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(
        command.argv, input=command.stdin, capture_output=True, check=False,
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(home)},
    )  # fmt: skip


def test_keys_come_and_go_and_leave_an_account_as_it_was(tmp_path: Path) -> None:
    ssh = tmp_path / ".ssh"
    ssh.mkdir()
    (ssh / "authorized_keys").write_text("ssh-ed25519 AAAA operator")
    (ssh / "config").write_text("Host other\n    User somebody\n")
    assert run(ends.trust("ssh-ed25519 BBBB"), tmp_path).returncode == 0
    assert (ssh / "authorized_keys").read_text() == "ssh-ed25519 AAAA operator\nssh-ed25519 BBBB netci-lease\n"
    for _ in range(2):
        done = run(ends.reach(b"the key\n", "192.0.2.2 ssh-ed25519 CCCC", "root", "192.0.2.2", 22), tmp_path)
        assert (done.returncode, done.stderr) == (0, b"")
    assert (ssh / "config").read_text() == "Include ~/.ssh/netci.conf\nHost other\n    User somebody\n"
    assert (ssh / "netci_key").read_bytes() == b"the key\n"
    assert (ssh / "netci_key").stat().st_mode & 0o077 == 0
    asked = subprocess.run(
        ["ssh", "-G", "-F", ssh / "netci.conf", "root@192.0.2.2"], capture_output=True, text=True, check=True
    )
    assert "identityfile ~/.ssh/netci_key\n" in asked.stdout
    assert "stricthostkeychecking true\n" in asked.stdout
    assert run(ends.down(a_link()), tmp_path).returncode == 0
    assert (ssh / "authorized_keys").read_text() == "ssh-ed25519 AAAA operator\n"
    assert sorted(path.name for path in ssh.iterdir()) == ["authorized_keys", "config"]


def test_net_config_goes_where_there_is_a_folder(tmp_path: Path) -> None:
    (tmp_path / "drivers/net").mkdir(parents=True)
    assert (
        run(ends.write_config("A=1\n", [str(tmp_path / "drivers/net"), str(tmp_path / "none")]), tmp_path).returncode
        == 0
    )
    assert (tmp_path / "drivers/net/net.config").read_text() == "A=1\n"
