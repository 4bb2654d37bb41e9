"""Device trees and their bindings, before and after, with a Makefile that stands in for the kernel's."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from services.executor.checks.base import OurCheck, Said
from services.executor.checks.dt_binding_check import DtBindingCheck, DtBindingCheckConfig
from services.executor.checks.dtbs_check import DtbsCheck, DtbsCheckConfig
from shared.model.results import Cause, CheckState
from tests.services.executor.checks.world import World, edit, world

BINDINGS = "Documentation/devicetree/bindings"

# It says of each file what is bad in it, as the kernel's does, once a schema or all; device trees of an architecture
# need a configuration and a compiler that knows the machine.
MAKEFILE = f"""\
dt_binding_check:
\t@test ! -e $(O) && mkdir -p $(O)/$(O); echo "make[1]: Entering directory '$(O)'"
\t@grep -rHn "BAD" {BINDINGS}/$(subst {BINDINGS}/,,$(DT_SCHEMA_FILES)) >$(O)/said || true
\t@sed "s|^|$$PWD/|; s|$$|\\n\\tFrom schema: x|" $(O)/said
\t@test ! -e {BINDINGS}/broken.yaml
allmodconfig:
\t@mkdir -p $(O) && test "$$(echo 'int a;' | gcc -mcpu=odd -G 0 -march=odder -O1 -x c -S - -o -)" && touch $(O)/.config
\t@test -e arch/$(ARCH)/boot/dts
dtbs_check:
\t@test -e $(O)/.config
\t@grep -Hn "BAD" arch/$(ARCH)/boot/dts/*.dts 2>&1 || true
"""

TREE: dict[str, Any] = {
    "Makefile": MAKEFILE.encode(), f"{BINDINGS}/a.yaml": b"a: 1\n", f"{BINDINGS}/b.yaml": b"b: BAD b\n",
    "arch/arm/boot/dts/a.dts": b"fine\n", "arch/openrisc/boot/dts/o.dts": b"BAD old\n", "net/a.c": b"int a;\n",
}  # fmt: skip


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path / "world", TREE) as made:
        yield made


def word(said: Said) -> tuple[CheckState, str]:
    return said.state, said.text


@pytest.mark.parametrize(
    ("check", "text"),
    [
        (DtBindingCheck(), "No DT binding files touched, skip"),
        (DtbsCheck(), "No DT schema or DTS files touched, skip"),
    ],
)
async def test_a_patch_without_them_passes(check: OurCheck, text: str, here: World) -> None:
    assert word(await here.one(check, edit("net/a.c", "int b;\n"))) == (CheckState.SUCCESS, text)


async def test_issues_of_bindings_are_compared(here: World) -> None:
    said = await here.one(DtBindingCheck(), edit(f"{BINDINGS}/a.yaml", "\n\na: BAD a\n"))
    assert word(said) == (CheckState.FAIL, "Issues before: 1, after: 2 (Fixed: 0, New: 1)")
    assert [(one.path, one.line, one.new) for one in said.findings] == [
        (f"{BINDINGS}/a.yaml", 3, True), (f"{BINDINGS}/b.yaml", 1, False),
    ]  # fmt: skip
    assert said.findings[0].text == f"{BINDINGS}/a.yaml:3:a: BAD a\n\tFrom schema: x"


async def test_issues_that_move_or_go_are_not_new(here: World) -> None:
    said = await here.one(DtBindingCheck(), edit(f"{BINDINGS}/b.yaml", "\n\nb: BAD b\n"))
    assert word(said) == (CheckState.SUCCESS, "Issues before: 1, after: 1 (Fixed: 0, New: 0)")
    said = await here.one(DtBindingCheck(), edit(f"{BINDINGS}/b.yaml", "b: 1\n"))
    assert word(said) == (CheckState.SUCCESS, "Issues before: 1, after: 0 (Fixed: 1, New: 0)")


async def test_only_touched_schemas_are_asked_about_if_that_is_wanted(here: World) -> None:
    check = DtBindingCheck(DtBindingCheckConfig(whole=False))
    said = await here.one(check, edit(f"{BINDINGS}/a.yaml", "a: BAD a\n"))
    assert word(said) == (CheckState.FAIL, "Issues before: 0, after: 1 (Fixed: 0, New: 1)")
    assert (
        said.repeat
        == f"# with patch 1 applied\nmake DT_CHECKER_FLAGS=-m DT_SCHEMA_FILES={BINDINGS}/a.yaml dt_binding_check"
    )


async def test_a_name_that_a_shell_would_read_is_not_handed_on(here: World) -> None:
    check = DtBindingCheck(DtBindingCheckConfig(whole=False))
    said = await here.one(check, edit(f"{BINDINGS}/$(id).yaml", "a: BAD a\n"))
    assert said.text == "Issues before: 1, after: 2 (Fixed: 0, New: 1)"


async def test_a_make_that_fails_is_an_issue(here: World) -> None:
    said = await here.one(DtBindingCheck(), edit(f"{BINDINGS}/broken.yaml", "a: 1\n"))
    assert word(said) == (CheckState.FAIL, "Issues before: 1, after: 2 (Fixed: 0, New: 1)")
    assert "exit code 2" in said.findings[0].text


async def test_device_trees_of_touched_machines_are_compared(here: World) -> None:
    said = await here.one(DtbsCheck(), edit("arch/arm/boot/dts/a.dts", "BAD\n"))
    text = "DTS files touched for architectures: arm; [arm] Issues before: 0, after: 1 (Fixed: 0, New: 1)"
    assert word(said) == (CheckState.FAIL, text)
    assert "DTS files touched for architectures: arm" in here.described
    assert (await here.one(DtbsCheck(), edit("arch/openrisc/boot/dts/o.dts", "x\n"))).text.startswith("No DT schema")


async def test_a_schema_concerns_all_machines(here: World) -> None:
    check = DtbsCheck(DtbsCheckConfig(archs=("arm", "openrisc", "sh"), skip=("sh",)))
    said = await here.one(check, edit(f"{BINDINGS}/a.yaml", "a: 2\n"))
    assert word(said) == (
        CheckState.SUCCESS,
        "DT schema files modified, testing all architectures; [arm] Issues before: 0, after: 0 (Fixed: 0, New: 0); "
        "[openrisc] Issues before: 1, after: 1 (Fixed: 0, New: 0)",
    )
    few = DtbsCheck(DtbsCheckConfig(schemas=False))
    assert (await here.one(few, edit(f"{BINDINGS}/a.yaml", "a: 2\n"))).text.startswith("No DT schema or DTS")


async def test_schema_tools_that_are_not_there_are_the_machines_fault(
    here: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.executor.lint.devicetree.TOOLS", ("dt-no-such-tool",))
    said = await here.one(DtBindingCheck(), edit(f"{BINDINGS}/a.yaml", "a: 2\n"))
    assert said.cause is Cause.INFRA
    assert said.text.startswith("dt-no-such-tool is not there: install dt-schema")
