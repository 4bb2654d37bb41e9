"""Our reading of MAINTAINERS against the tree's own get_maintainer.pl, on real files."""

import random
from pathlib import Path

from services.executor.cage.at_hand import isolation_for
from services.executor.cage.base import Bind, Cage
from shared.formats.maintainers import Tree, sections
from shared.git.store import Store
from shared.practice.kernel import kernel_store
from shared.settings import Checks

SAMPLE, SEED = 40, 20261126
NEEDED = (
    "COPYING", "CREDITS", "Kbuild", "MAINTAINERS", "Makefile", "README", "scripts/get_maintainer.pl",
    "Documentation/Makefile", "arch/Kconfig", "include/linux/net.h", "drivers/Makefile", "fs/Makefile", "init/Makefile",
    "ipc/Makefile", "kernel/Makefile", "lib/Makefile",
)  # fmt: skip
"""By these the script knows a kernel tree."""


async def test_the_same_entries(cages: Path, tmp_path: Path) -> None:
    kernel, commit = await kernel_store()
    text = (await kernel.read_blob(commit, "MAINTAINERS")).decode()
    tree = Tree.of([entry.path for entry in await kernel.ls(commit, recursive=True)])
    files = random.Random(SEED).sample([path for path in tree.paths if path.isprintable()], SAMPLE)
    await _write(kernel, commit, {*NEEDED, *files}, tmp_path)
    by_name = {block.splitlines()[0] for block in text.split("\n\n") if "\nN:" in block}
    entries = [entry for entry in sections(text) if entry.files]
    cage = Cage((Bind(tmp_path, "/src"),), cwd="/src")
    isolation = isolation_for(Checks(), cages)
    for path in files:
        ran = await isolation.run(cage, ("scripts/get_maintainer.pl", "--sections", "--nogit", "-f", "--", path))
        theirs = {line for line in ran.stdout.decode().splitlines() if line and line[1:2] != ":"}
        ours = {entry.title for entry in entries if entry.covers(path, tree.folders)}
        # Entries by regular expressions of names (N:) are not for us.
        assert theirs - by_name == ours - by_name, path


async def _write(kernel: Store, commit: str, paths: set[str], folder: Path) -> None:
    folder.chmod(0o755)
    for path in sorted(paths):
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(await kernel.read_blob(commit, path))
        file.chmod(0o755)
