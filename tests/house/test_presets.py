"""The set of checks that ships: the rooms that only know names know the same ones as the room that asks them."""

from services.executor.checking.configured import configured
from services.executor.checks import CHECKS
from shared.settings import Checking, preset


def test_every_check_there_is_is_asked_or_left_out_on_purpose() -> None:
    ships = preset("checks-netdev")
    assert sorted([*ships["use"], *ships["leave"]]) == sorted(CHECKS)


def test_what_settings_name_is_what_is_asked() -> None:
    for checking in (
        Checking(preset="netdev"),
        Checking(preset="netdev", leave=("kdoc", "build_clang")),
        Checking(preset="netdev", use=("signed", "kdoc")),
    ):
        assert checking.all_named
        assert checking.names == {check.name for check in configured(checking, "checking")}
