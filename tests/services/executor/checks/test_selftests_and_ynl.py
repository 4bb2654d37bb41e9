"""New selftests stand in the lists of their folder; what YNL generates is what it would generate now."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from services.executor.cage.base import Ran
from services.executor.checks import ynl
from services.executor.checks.base import Said
from services.executor.checks.check_selftest import CheckSelftest, CheckSelftestConfig
from services.executor.checks.ynl import Ynl
from shared.errors import InfraError
from shared.model.results import CheckState
from tests.services.executor.checks.world import World, edit, world

NET = "tools/testing/selftests/net"
MAKEFILE = """\
TEST_PROGS := \\
\ta.sh \\
\tb.sh \\
# end of TEST_PROGS

TEST_GEN_FILES := \\
\ttls \\
#

$(OUTPUT)/tls: tls.c part.c
"""
GITIGNORE = "# programs\ntls\n"

# As much of YNL as the check asks: a generator, a build, generated user code.
REGEN = """#!/bin/sh
for file in $(git grep -l YNL-GEN -- 'net/*.c'); do
    sh ./tools/net/ynl/gen.sh >"$file"
done
"""
GEN = (
    "#!/bin/sh\necho '/* YNL-GEN kernel */'\nsed -n 's/^name: \\(.*\\)/int \\1;/p' Documentation/netlink/specs/a.yaml\n"
)
YNL_MAKE = """all:
\t$(MAKE) -C generated
\tsh ./warns.sh
distclean:
\trm -f generated/a.c
"""
GENERATED_MAKE = """all: a.c
a.c: ../../../../Documentation/netlink/specs/a.yaml
\tsed -n 's/^name: \\(.*\\)/int user_\\1;/p' $< >$@
distclean:
\trm -f a.c
"""
SPEC = "name: family\n"
KERNEL = "/* YNL-GEN kernel */\nint family;\n"

TREE: dict[str, Any] = {
    f"{NET}/Makefile": MAKEFILE.encode(), f"{NET}/.gitignore": GITIGNORE.encode(),
    f"{NET}/config": b"CONFIG_A=y\nCONFIG_C=y\n",
    f"{NET}/tls.c": b"int main;\n", f"{NET}/messy/Makefile": b"TEST_PROGS := z.sh a.sh\n",
    "tools/testing/selftests/mm/Makefile": b"", "net/core/dev.c": b"int dev;\n",
    "tools/net/ynl/ynl-regen.sh": ("100755", REGEN.encode()), "tools/net/ynl/gen.sh": GEN.encode(),
    "tools/net/ynl/Makefile": YNL_MAKE.encode(), "tools/net/ynl/warns.sh": b"true\n",
    "tools/net/ynl/generated/Makefile": GENERATED_MAKE.encode(), "tools/net/ynl/generated/keep.h": b"\n",
    "Documentation/netlink/specs/a.yaml": SPEC.encode(), "net/core/gen.c": KERNEL.encode(),
}  # fmt: skip


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path / "world", TREE) as made:
        yield made


def word(said: Said) -> tuple[CheckState, str]:
    return said.state, said.text


def patch(**files: str) -> dict[str, Any]:
    return {"subject": "selftests: x", "edits": [{"path": path, "content": text} for path, text in files.items()]}


# check_selftest

CHECK = CheckSelftest(
    CheckSelftestConfig(
        below=("tools/testing/selftests/net/*", "tools/testing/selftests/*/net/*"), collected=(f"{NET}/lib/*.sh",)
    )
)


async def test_a_patch_elsewhere_changes_no_selftests(here: World) -> None:
    said = await here.one(CHECK, patch(**{"tools/testing/selftests/mm/new.sh": "true\n"}))
    assert word(said) == (CheckState.SUCCESS, "No changes to selftests")


async def test_a_new_script_stands_in_the_makefile(here: World) -> None:
    said = await here.one(CHECK, patch(**{f"{NET}/c.sh": "true\n"}))
    assert word(said) == (CheckState.FAIL, f"{NET}/c.sh not found in Makefile")
    listed = MAKEFILE.replace("\tb.sh \\\n", "\tb.sh \\\n\tc.sh \\\n")
    said = await here.one(CHECK, patch(**{f"{NET}/c.sh": "true\n", f"{NET}/Makefile": listed}))
    assert word(said) == (CheckState.SUCCESS, "Good format (1); New files in Makefile checked (1)")


async def test_a_new_program_stands_in_the_gitignore_as_well(here: World) -> None:
    listed = MAKEFILE.replace("\ttls \\\n", "\tgro \\\n\ttls \\\n")
    said = await here.one(CHECK, patch(**{f"{NET}/gro.c": "int main;\n", f"{NET}/Makefile": listed}))
    assert word(said) == (
        CheckState.FAIL, "Good format (1); New files in Makefile checked (1); gro not found in .gitignore",
    )  # fmt: skip
    files = {f"{NET}/gro.c": "int main;\n", f"{NET}/Makefile": listed, f"{NET}/.gitignore": "# programs\ngro\ntls\n"}
    assert word(await here.one(CHECK, patch(**files))) == (
        CheckState.SUCCESS, "Good format (2); New files in Makefile checked (1); New files in gitignore checked (1)",
    )  # fmt: skip


async def test_what_is_a_part_of_a_program_needs_no_gitignore(here: World) -> None:
    said = await here.one(CHECK, patch(**{f"{NET}/part.c": "int part;\n"}))
    assert word(said) == (CheckState.SUCCESS, "New files in Makefile checked (1)")


async def test_what_a_makefile_collects_is_listed_nowhere(here: World) -> None:
    said = await here.one(CHECK, patch(**{f"{NET}/lib/x.sh": "true\n"}))
    assert word(said) == (CheckState.SUCCESS, "New files 1, modified 0, no checks")


async def test_a_list_that_comes_into_disorder_fails(here: World) -> None:
    messy = MAKEFILE.replace("\ta.sh \\\n\tb.sh", "\tb.sh \\\n\ta.sh")
    said = await here.one(CHECK, patch(**{f"{NET}/Makefile": messy, f"{NET}/config": "CONFIG_C=y\nCONFIG_A=y\n"}))
    assert word(said) == (CheckState.FAIL, f"Bad format: {NET}/Makefile; Bad format: {NET}/config")
    assert [f"{one.path}:{one.line}: {one.text}" for one in said.findings] == [
        f"{NET}/Makefile:3: a.sh should stand before b.sh",
        f"{NET}/config:2: CONFIG_A=y should stand before CONFIG_C=y",
    ]  # fmt: skip


async def test_disorder_that_was_there_is_not_this_patchs(here: World) -> None:
    said = await here.one(CHECK, patch(**{f"{NET}/messy/Makefile": "# new\nTEST_PROGS := z.sh a.sh\n"}))
    assert word(said) == (CheckState.SUCCESS, "Good format (1)")
    assert [one.new for one in said.findings] == [False]


# ynl


async def test_a_series_elsewhere_is_not_looked_at(here: World) -> None:
    said = await here.one(Ynl(), edit("net/core/dev.c", "int device;\n"))
    assert word(said) == (CheckState.SUCCESS, "No YNL files touched, skip")


async def test_a_tree_without_ynl_has_nothing_to_generate(here: World) -> None:
    gone = {"subject": "x", "edits": [{"path": "tools/net/ynl/ynl-regen.sh", "delete": True}]}
    assert word(await here.one(Ynl(), gone)) == (CheckState.SUCCESS, "No YNL in this tree, skip")


async def test_generated_code_that_is_up_to_date_is_fine(here: World) -> None:
    said = await here.one(Ynl(), patch(**{"Documentation/netlink/specs/a.yaml": SPEC + "doc: x\n"}))
    assert word(said) == (CheckState.SUCCESS, "Generated files up to date; no warnings/errors; no diff in generated"), (
        said.log
    )


async def test_code_that_was_not_generated_anew_fails(here: World) -> None:
    said = await here.one(Ynl(), patch(**{"Documentation/netlink/specs/a.yaml": "name: other\n"}))
    assert said.state is CheckState.FAIL
    assert said.text == (
        "Tree is dirty after regen; no warnings/errors; GEN HAS DIFF 1 file changed, 1 insertion(+), 1 deletion(-)"
    )
    assert [one.path for one in said.findings] == ["net/core/gen.c"]
    assert b"+int user_other;" in said.files["diff"]
    assert "Tree is dirty after regen" in here.described


async def test_a_series_that_generates_anew_is_told_what_changes_for_users(here: World) -> None:
    files = {"Documentation/netlink/specs/a.yaml": "name: other\n", "net/core/gen.c": KERNEL.replace("family", "other")}
    said = await here.one(Ynl(), patch(**files))
    assert said.state is CheckState.SUCCESS
    assert said.text.startswith("Generated files up to date; no warnings/errors; GEN HAS DIFF 1 file changed")


async def test_generated_code_that_is_changed_by_hand_fails(here: World) -> None:
    said = await here.one(Ynl(), patch(**{"net/core/gen.c": KERNEL + "int hand;\n"}))
    assert said.state is CheckState.FAIL
    assert said.text == "Tree is dirty after regen; no warnings/errors; no diff in generated"


async def test_a_build_that_warns_or_fails_is_told(here: World) -> None:
    said = await here.one(
        Ynl(), patch(**{"tools/net/ynl/warns.sh": "echo 'a.c:1: warning: x' >&2; echo 'b: error' >&2\n"})
    )
    assert word(said) == (
        CheckState.FAIL,
        "Generated files up to date by the series' own generator; build has 2 warnings/errors; no diff in generated",
    )  # fmt: skip
    assert [one.text for one in said.findings] == ["a.c:1: warning: x", "b: error"]
    said = await here.one(Ynl(), patch(**{"tools/net/ynl/warns.sh": "exit 1\n"}))
    assert said.state is CheckState.FAIL
    assert "; build failed; build has 1 warnings/errors; " in said.text


async def test_a_series_that_changes_the_generator_is_said_to_have_judged_itself(here: World) -> None:
    files = {"tools/net/ynl/gen.sh": f"printf '{KERNEL}int hand;\n'\n", "net/core/gen.c": KERNEL + "int hand;\n"}
    said = await here.one(Ynl(), patch(**files))
    assert said.text.startswith("Generated files up to date by the series' own generator; ")
    assert said.notes == ("judged by the series' own generator: it changes tools/net/ynl/gen.sh",)
    said = await here.one(Ynl(), patch(**{"Documentation/netlink/specs/a.yaml": SPEC, "net/core/dev.c": "int d;\n"}))
    assert said.notes == ()


def test_a_python_module_that_is_not_there_is_the_machines_fault() -> None:
    with pytest.raises(InfraError, match="install python3-yaml"):
        ynl.regenerated(Ran(1, stderr=b"ModuleNotFoundError: No module named 'yaml'\n"))
    assert ynl.regenerated(Ran(1, stderr=b"ModuleNotFoundError: No module named 'ynl_new'\n")).bad
