"""Kernels of branches, built by real make, gcc and cages from a tree with a kernel's targets in small."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from services.executor.cage.at_hand import isolation_for
from services.executor.cage.base import Isolation
from services.executor.drivers.base import Job
from services.executor.drivers.here import Here
from services.executor.kernels.base import DoesNotBuild, Kernel
from services.executor.kernels.built import BuiltKernels
from services.executor.kernels.config import KernelBuild
from shared.errors import InfraError, Refused
from shared.model.ids import Sha
from shared.settings import Checks
from tests.services.executor.checking.builders import Contents, Repository

pytestmark = pytest.mark.timeout(600)

MAKEFILE = b"""\
RELEASE := 6.1.0-small
defconfig:
\t@cp Kconfig $(O)/.config
olddefconfig:
\t@! grep -n 'syntax error' Kconfig
\t@grep -q NEVER Kconfig && sed -i /CONFIG_NEVER/d $(O)/.config || true
vmlinux: main.c
\t@echo "  CC      main.o"
\t@$(CC) -c main.c -o $(O)/vmlinux
bzImage: vmlinux
\t@mkdir -p $(O)/arch/x86/boot $(O)/include/config
\t@echo $(RELEASE) >$(O)/include/config/kernel.release
\t@cat $(O)/vmlinux $(O)/.config >$(O)/arch/x86/boot/bzImage
modules:
\t@cp main.c $(O)/a.ko
modules_install:
\t@mkdir -p $(INSTALL_MOD_PATH)/lib/modules/$(RELEASE)/kernel
\t@cp $(O)/a.ko $(INSTALL_MOD_PATH)/lib/modules/$(RELEASE)/kernel
\t@ln -s /obj $(INSTALL_MOD_PATH)/lib/modules/$(RELEASE)/build
"""
TREE: Contents = {
    "Makefile": MAKEFILE, "Kconfig": b"CONFIG_FIRST=y\n", "main.c": b"int first;\n",
    "tools/testing/selftests/net/config": b"CONFIG_VETH=m\n# CONFIG_TUN is not set\n",
}  # fmt: skip
NET = ("tools/testing/selftests/net/config", "tools/testing/selftests/gone/config")
LAST = "VIRTIO=y"


@dataclass
class World:
    folder: Path
    repository: Repository
    first: Sha
    isolation: Isolation

    def kernels(self, *needs: str, **changes: Any) -> BuiltKernels:
        here = Here(self.folder, Checks(hands=2), self.repository.store)
        return BuiltKernels(KernelBuild.model_validate(changes), needs or (LAST,), here, lambda: self.isolation)

    async def kernel(self, commit: str, *, config: tuple[str, ...] = (), **changes: Any) -> Kernel:
        return await self.kernels(**changes).kernel(Job("run", 1, "", commit, config))

    def built(self) -> list[str]:
        return sorted(path.name for path in (self.folder / "kernels" / "built").iterdir())


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    repository = Repository(tmp_path / "store.git")
    first = await repository.commit(TREE)
    isolation = isolation_for(Checks(hands=2), tmp_path / "cages")
    yield World(tmp_path / "state", repository, first, isolation)
    isolation.close()
    repository.store.close()


async def test_a_kernel_comes_with_all_that_tells_how_it_was_built(world: World) -> None:
    kernel = await world.kernel(world.first, config=NET, symbols=["hz=250"], debug=True)
    config = kernel.kept["config"].read_text().splitlines()
    assert config[:4] == ["CONFIG_FIRST=y", "CONFIG_VETH=m", "# CONFIG_TUN is not set", "CONFIG_KASAN=y"]
    assert config[-2:] == ["CONFIG_HZ=250", "CONFIG_VIRTIO=y"]
    assert kernel.image.read_bytes().endswith(kernel.kept["config"].read_bytes())
    assert (kernel.release, kernel.source) == ("6.1.0-small", "/src")
    assert kernel.modules is not None
    assert [path.name for path in kernel.modules.iterdir()] == ["kernel"]
    assert kernel.vmlinux is not None
    assert kernel.vmlinux.read_bytes()[:4] == b"\x7fELF"
    assert kernel.facts["kernel_commit"] == world.first
    assert kernel.facts["compiler"].startswith("gcc")
    assert len(kernel.facts["kernel_config"]) == 16
    assert "  CC      main.o" in kernel.kept["log"].read_text()
    assert "== gcc" in kernel.kept["tools"].read_text()
    assert kernel.seconds > 0


async def test_one_that_is_there_is_not_built_again_by_anybody(world: World) -> None:
    first = await world.kernel(world.first)
    before = first.image.stat().st_ino
    kernels = world.kernels()
    assert await kernels.kernel(Job("other", 2, "", world.first)) == first
    # Another commit with the same tree is the same kernel.
    same = await world.repository.commit({}, world.first, "nothing changes")
    assert await kernels.kernel(Job("other", 3, "", same)) == first
    assert (first.image.stat().st_ino, len(world.built())) == (before, 1)


async def test_another_configuration_or_tree_is_another_kernel(world: World) -> None:
    changed = await world.repository.commit({"main.c": b"int second;\n"}, world.first)
    images = [
        (await world.kernel(world.first)).image.read_bytes(),
        (await world.kernel(world.first, symbols=["B"])).image.read_bytes(),
        (await world.kernel(changed)).image.read_bytes(),
        (await world.kernel(changed, modules=False, config=NET)).image.read_bytes(),
    ]
    assert len(set(images)) == len(world.built()) == 4
    assert b"second" in images[2]
    assert b"second" in images[3]
    assert b"first" not in images[2]
    assert b"CONFIG_VETH=y" in images[3]


async def test_without_modules_none_are_installed(world: World) -> None:
    assert (await world.kernel(world.first, modules=False)).modules is None


async def test_a_commit_that_does_not_build_says_where_and_is_not_built_again(world: World) -> None:
    await world.kernel(world.first)
    broken = await world.repository.commit({"main.c": b"int first\n"}, world.first)
    for _ in range(2):
        with pytest.raises(DoesNotBuild, match=r"main.c:1:\d+: error: expected") as told:
            await world.kernel(broken)
        assert told.value.log.count("error: expected") == 1
    bases = [path for path in (world.folder / "kernels/cache/bases").iterdir() if path.is_dir()]
    assert len(bases) == 2
    assert len(world.built()) == 1


async def test_a_commit_that_breaks_the_configuration_is_one_that_does_not_build(world: World) -> None:
    broken = await world.repository.commit({"Kconfig": b"syntax error\n"}, world.first)
    with pytest.raises(DoesNotBuild, match="make defconfig of the base does not work") as told:
        await world.kernel(broken)
    assert "1:syntax error" in told.value.log


async def test_what_a_guest_needs_and_does_not_get_is_nobodys_patch(world: World) -> None:
    never = await world.repository.commit({"Kconfig": b"# NEVER\n"}, world.first)
    with pytest.raises(InfraError, match="does not come to have NEVER=y"):
        await world.kernels("NEVER=y").kernel(Job("run", 1, "", never))


async def test_a_symbol_that_does_not_come_to_stand_is_told(world: World) -> None:
    never = await world.repository.commit({"Kconfig": b"# NEVER\n"}, world.first)
    kernel = await world.kernel(never, symbols=["NEVER"])
    assert kernel.facts["kernel_lacks"] == "NEVER=y"


async def test_fragments_of_the_tree_and_of_this_machine(world: World, tmp_path: Path) -> None:
    mine = tmp_path / "mine.config"
    mine.write_text("CONFIG_VETH=y\nCONFIG_MINE=y\n")
    kernel = await world.kernel(world.first, fragments=[NET[0], str(mine)])
    config = kernel.kept["config"].read_text().splitlines()
    assert config[1:] == ["CONFIG_VETH=y", "# CONFIG_TUN is not set", "CONFIG_MINE=y", "CONFIG_VIRTIO=y"]
    for path, why in (("no/such", "has no no/such"), (str(tmp_path / "none"), "none: No such file")):
        with pytest.raises(Refused, match=why):
            await world.kernel(world.first, fragments=[path])
    mine.write_text("CONFIG_MINE\n")
    with pytest.raises(Refused, match=r"mine.config:1: 'CONFIG_MINE' sets no symbol"):
        world.kernels(fragments=[str(mine)]).examine()


async def test_a_run_without_a_commit_is_refused(world: World) -> None:
    with pytest.raises(Refused, match="without a commit"):
        await world.kernels().kernel(Job("run", 1))
