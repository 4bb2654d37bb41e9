"""What is at hand is told; what is missing is named with what to install; bare has to be asked for."""

import os
import shutil
from pathlib import Path

import pytest

from services.executor.cage import machine
from services.executor.cage.at_hand import examine, isolation_for
from services.executor.cage.warden.order import DROP
from shared.errors import InfraError
from shared.settings import Checks


async def test_the_doctor_says_what_is_at_hand(place: Path) -> None:
    found = await examine(Checks(), place)
    said = {finding.what: finding.detail for finding in reversed(found)}
    assert [finding for finding in found if not finding.ok] == []
    assert said["isolation of checks"].startswith("bubblewrap; ")
    assert said["layers of checks"] == "overlays"
    assert any(finding.detail.startswith("memory: ") for finding in found)
    assert list(place.iterdir()) == []


async def test_the_doctor_says_that_there_is_no_cage(place: Path) -> None:
    found = await examine(Checks(isolation="bare"), place)
    assert found[0].ok
    assert found[0].detail.startswith('none (checks.isolation = "bare")')


async def test_users_of_somebody_are_named(place: Path) -> None:
    found = await examine(Checks(users="65500-65540"), place)
    bad = [finding for finding in found if not finding.ok]
    assert [finding.detail for finding in bad] == (["nobody is in the range"] if os.geteuid() == 0 else [])


async def test_a_user_for_each_hand(place: Path) -> None:
    bad = [finding for finding in await examine(Checks(users="61000-61003", hands=9), place) if not finding.ok]
    assert [finding.detail for finding in bad] == (["fewer than checks.hands"] if os.geteuid() == 0 else [])


def test_without_bubblewrap_there_is_no_isolation(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name, path: None)
    with pytest.raises(InfraError, match=r"bwrap is not installed \(apt install bubblewrap\).*bare"):
        isolation_for(Checks(), place)


async def test_the_doctor_names_what_is_missing(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name, path: None)
    (finding,) = await examine(Checks(), place)
    assert not finding.ok
    assert "apt install bubblewrap" in finding.detail


def test_root_without_its_rights_is_no_drop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(machine, "_capabilities", lambda: 1)
    with pytest.raises(InfraError, match="lacks CAP_SETGID, CAP_SETUID, CAP_SYS_ADMIN"):
        machine.fitting_mode()
    monkeypatch.setattr(machine, "_capabilities", lambda: (1 << 41) - 1)
    assert machine.fitting_mode() == DROP


@pytest.mark.parametrize("users", ["61000", "9-3", "0-5", "a-b", "61000-99999999999"])
def test_a_range_of_users_is_one(users: str) -> None:
    with pytest.raises(ValueError, match="a range of user ids"):
        Checks(users=users)
