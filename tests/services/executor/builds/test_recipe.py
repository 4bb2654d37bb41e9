"""What is built, as command lines."""

from dataclasses import replace

import pytest
from pydantic import TypeAdapter, ValidationError

from services.executor.builds.recipe import Kconfig, Recipe, Step, Symbol, Target, variables

SYMBOL: TypeAdapter[str] = TypeAdapter(Symbol)
TARGET: TypeAdapter[str] = TypeAdapter(Target)
RECIPE = Recipe(
    "x",
    Kconfig("tinyconfig", ("NET=y", "WERROR=n", "NETDEVSIM=m", "NR_CPUS=4", 'LOCALVERSION="-x y"')),
    variables(W="1", C="1", CC="ccache gcc"),
    steps=(Step(("drivers/net/netdevsim/",)),),
)


def test_make_is_told_by_words_never_by_a_shell() -> None:
    (words,) = RECIPE.builds(2)
    assert words == (
        "make", "-C", "/src", "-j2", "-k", "--output-sync=target", "--no-print-directory", "O=/obj", "W=1", "C=1",
        "CC=ccache gcc", "drivers/net/netdevsim/",
    )  # fmt: skip


def test_an_author_can_repeat_it_in_his_clone() -> None:
    assert RECIPE.repeat() == (
        "make O=$PWD/../obj W=1 C=1 CC=gcc tinyconfig && "
        "scripts/config --file ../obj/.config -e NET -d WERROR -m NETDEVSIM --set-val NR_CPUS 4 "
        "--set-str LOCALVERSION '-x y' && "
        "make O=$PWD/../obj W=1 C=1 CC=gcc olddefconfig && "
        "make O=$PWD/../obj -j$(nproc) W=1 C=1 CC=gcc drivers/net/netdevsim/"
    )


def test_a_file_stands_in_for_a_target() -> None:
    recipe = replace(RECIPE, kconfig=Kconfig("/etc/a config", (), (), "CONFIG_NET=y\n"))
    assert recipe.repeat().startswith("mkdir -p ../obj && cp '/etc/a config' ../obj/.config && make O=$PWD/../obj W=1")


def test_what_objects_depend_on_names_them() -> None:
    assert RECIPE.digest == replace(RECIPE, name="y", noise=("z",), seconds=1, base_seconds=2).digest
    for other in (
        replace(RECIPE, variables=variables(W="1")),
        replace(RECIPE, kconfig=Kconfig("tinyconfig", ("NET=y",))),
        replace(RECIPE, kconfig=Kconfig("tinyconfig", text="CONFIG_NET=y\n")),
        replace(RECIPE, steps=()),
    ):
        assert other.digest != RECIPE.digest


def test_a_configuration_is_compared_with_what_was_asked() -> None:
    form = Kconfig("x", ("NET=y", "WERROR=n", "NETDEVSIM=m", "GONE=n"), ("RUST=y",))
    assert form.lines == "CONFIG_NET=y\n# CONFIG_WERROR is not set\nCONFIG_NETDEVSIM=m\n# CONFIG_GONE is not set\n"
    assert form.lacks("CONFIG_NET=y\n# CONFIG_WERROR is not set\nCONFIG_NETDEVSIM=m\n") == ()
    assert form.lacks("CONFIG_WERROR=y\nCONFIG_NETDEVSIM=y\n") == ("NET=y", "WERROR=n", "NETDEVSIM=m")
    assert form.refuses("CONFIG_RUST=y\n") == ()
    assert form.refuses("# CONFIG_RUST is not set\n") == ("RUST=y",)


def test_symbols_are_written_as_kernel_people_do() -> None:
    assert SYMBOL.validate_python("CONFIG_NET") == "NET=y"
    assert SYMBOL.validate_python("drm_werror=n") == "DRM_WERROR=n"
    for wrong in ("NET=x", "A B", "A=y\nB=y", 'A="\\"', "", "A;reboot"):
        with pytest.raises(ValidationError):
            SYMBOL.validate_python(wrong)


def test_targets_stay_in_the_tree_and_are_no_options() -> None:
    assert TARGET.validate_python("drivers/net/") == "drivers/net/"
    for wrong in ("../x", "/etc/", "-f", "--eval=x", "a b", "X=y", ""):
        with pytest.raises(ValidationError):
            TARGET.validate_python(wrong)
