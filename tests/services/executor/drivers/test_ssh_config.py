"""What an operator may write, and that no way leads around the host keys."""

from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from services.executor.drivers.ssh_config import Address, SshConfig


def a_config(**changes: object) -> SshConfig:
    return SshConfig.model_validate(
        {"hosts": ["root@vm1"], "agent": True, "host_keys": ["vm1 ssh-ed25519 A"], **changes}
    )


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("vm1", Address("vm1")),
        ("ci@vm1:2222", Address("vm1", "ci", 2222)),
        ("ci@[fd00::1]", Address("fd00::1", "ci")),
        ("[fd00::1]:2222", Address("fd00::1", "root", 2222)),
    ],
)
def test_addresses_are_read_and_written(text: str, address: Address) -> None:
    assert Address.parse(text) == address
    assert Address.parse(str(address)) == address


@pytest.mark.parametrize("text", ["", "-oProxyCommand=x", "root@-x", "a b", "vm1:0", "vm1:70000", "fd00::1", "x@y@z"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValidationError, match="not a host to reach"):
        a_config(hosts=[text])


def test_durations_are_written_with_a_unit() -> None:
    assert a_config(keepalive_interval="1.5m").keepalive_interval == timedelta(seconds=90)
    with pytest.raises(ValidationError):
        a_config(keepalive_interval="soon")


def test_some_host_key_must_be_known() -> None:
    with pytest.raises(ValidationError, match="never believed unseen"):
        a_config(host_keys=[])


def test_some_key_of_ours_is_needed() -> None:
    with pytest.raises(ValidationError, match="key_file is needed"):
        a_config(agent=False)


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("secret")
    key.chmod(0o644)
    with pytest.raises(ValidationError, match="chmod 600"):
        a_config(key_file=str(key))
    key.chmod(0o600)
    assert a_config(key_file=str(key)).key_file == key


@pytest.mark.parametrize(
    "wrong", [{"hosts": []}, {"hosts": ["vm1", "root@vm1:22"]}, {"directory": "a b"}, {"port": 22}]
)
def test_a_wrong_key_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        a_config(**wrong)
