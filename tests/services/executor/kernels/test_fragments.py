"""Fragments of a configuration, read and merged."""

import pytest

from services.executor.builds.recipe import Kconfig
from services.executor.kernels.fragments import DEBUG, merged, read
from shared.errors import Refused


def test_a_fragment_sets_symbols_and_switches_them_off() -> None:
    text = '# for tests\nCONFIG_NET=y\n\n  CONFIG_HZ=250 \nCONFIG_NAME="a b"\n# CONFIG_SOUND is not set\n'
    assert read(text, "config") == ("NET=y", "HZ=250", 'NAME="a b"', "SOUND=n")


@pytest.mark.parametrize("line", ["NET=y", "CONFIG_NET=yes", "CONFIG_NET", "CONFIG_A=y CONFIG_B=y", 'CONFIG_A="x\\"'])
def test_a_line_that_sets_nothing_is_named(line: str) -> None:
    with pytest.raises(Refused, match=r"net/config:2: .* sets no symbol"):
        read(f"# one\n{line}\n", "net/config")


def test_the_last_word_on_a_symbol_holds() -> None:
    assert merged(("A=m", "B=y"), ("A=n",), ("A=y", "C=12")) == ("A=y", "B=y", "C=12")


def test_without_modules_all_is_built_in() -> None:
    assert merged(("A=m", "B=n"), ("C=y",), modules=False) == ("A=y", "B=n", "C=y", "MODULES=n")


def test_what_debugging_wants_is_of_the_form_that_a_recipe_takes() -> None:
    assert Kconfig("defconfig", DEBUG).lines.splitlines() == [f"CONFIG_{symbol}" for symbol in DEBUG]
