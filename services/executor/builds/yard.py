"""Where one series is built: a work tree, make in a cage, an object folder over which layers are laid.

Answers with how commands ended and what they printed; it knows nothing of messages or of verdicts.
"""

import asyncio
import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from services.executor.builds.recipe import FIXED, GIVEN, OBJECTS, SOURCE, Kconfig, Recipe
from services.executor.cage.base import Bind, Cage, Layer, Limits, Ran
from services.executor.checking.place import Place
from services.executor.checking.seat import Seat
from shared.errors import InfraError

CACHE = "/ccache"

_ENV = {
    **FIXED, "LANG": "C", "LC_ALL": "C", "CCACHE_DIR": CACHE,
    "GIT_CONFIG_NOSYSTEM": "1", "LOCALVERSION": "",
}  # fmt: skip

BASE_FACTOR = 8
"""A whole base prints, and writes, more than one patch may."""

# What a recipe says is given as words and files, never put into the text of a script.
_CONFIGURE = f"""
set -e
if [ -f {GIVEN}/config ]; then cp {GIVEN}/config {OBJECTS}/.config; else "$@" "$CONFIG_SOURCE"; fi
cat {GIVEN}/symbols >>{OBJECTS}/.config
exec "$@" olddefconfig </dev/null
"""

_TOOLS = """
for tool in make gcc as ld sparse clang ld.lld rustc bindgen pahole ccache bison flex perl; do
    if command -v "$tool" >/dev/null; then echo "== $tool"; "$tool" --version 2>/dev/null | head -n 3; fi
done
"""

# -v -n: for each path where it is decided, if anywhere, that it is ignored.
_PRODUCTS = f"""
set -e
git init -q /tmp/none.git --bare
cd {SOURCE}
{{ cd "{OBJECTS}/$1" && find . -type f -printf "$2/%P\\0"; }} |
    git --git-dir=/tmp/none.git --work-tree={SOURCE} check-ignore --no-index -z -v -n --stdin || [ $? = 1 ]
"""


@dataclass(frozen=True, slots=True)
class Shop:
    """What commands see at `/obj` and `/ccache`, and whether this is the base's own build, which may leave more."""

    objects: Bind | Layer
    cache: Bind | Layer
    base: bool = False


def base_shop(objects: Path, cache: Path) -> Shop:
    """What is written stays."""
    return Shop(Bind(objects, OBJECTS, writable=True), Bind(cache, CACHE, writable=True), base=True)


def series_shop(objects: Path, cache: Path, over: Path) -> Shop:
    """What is written goes to folders below `over`."""
    return Shop(Layer(objects, OBJECTS, over / "obj"), Layer(cache, CACHE, over / "ccache"))


@dataclass(frozen=True)
class Yard:
    """`seat` has the work tree, `space` is what the compiler's cache may take, bytes."""

    place: Place
    seat: Seat
    space: int

    @property
    def jobs(self) -> int:
        return self.place.settings.hands or os.cpu_count() or 1

    async def run(
        self,
        shop: Shop,
        *argv: str,
        seconds: float,
        given: Mapping[str, str] | None = None,
        env: Mapping[str, str] | None = None,
        loose: bool = False,
    ) -> Ran:
        """Run it in the tree. `given` are files below /in. `loose`: the tree may be written, and is as it was then."""
        with self._files(given or {}) as files:
            tree: Bind | Layer = Layer(self.seat.tree, SOURCE) if loose else Bind(self.seat.tree, SOURCE)
            binds = (tree, shop.objects, shop.cache, *files)
            settings = {**_ENV, "CCACHE_MAXSIZE": str(self.space), **(env or {})}
            cage = Cage(binds, settings, SOURCE, self._limits(shop, seconds))
            # Takes no hand, or checks that take a second waited for builds that take hours; and lets them go first.
            return await self.place.isolation.run(cage, ("nice", "-n", "10", *argv))

    def _limits(self, shop: Shop, seconds: float) -> Limits:
        ours = self.place.settings
        limits = Limits(seconds, ours.memory, ours.processes, ours.output, ours.disk)
        if shop.base:
            limits = replace(limits, output=limits.output * BASE_FACTOR, disk=limits.disk * BASE_FACTOR)
        return limits

    @contextlib.contextmanager
    def _files(self, given: Mapping[str, str]) -> Iterator[list[Bind]]:
        if not given:
            yield []
            return
        with self.place.scratch.make() as folder:
            for name, text in given.items():
                (folder / name).write_text(text)
                (folder / name).chmod(0o644)
            yield [Bind(folder, GIVEN)]

    async def configure(self, shop: Shop, recipe: Recipe, kconfig: Kconfig) -> Ran:
        """Write the configuration anew."""
        given = {"symbols": kconfig.lines} | ({"config": kconfig.text} if kconfig.text else {})
        return await self.run(
            shop, "sh", "-c", _CONFIGURE, "configure", *recipe.make(), seconds=600, given=given,
            env={"CONFIG_SOURCE": kconfig.source},
        )  # fmt: skip

    async def config(self, shop: Shop) -> str:
        """The configuration as it is."""
        ran = await self.run(shop, "cat", f"{OBJECTS}/.config", seconds=60)
        return ran.stdout.decode("utf-8", "replace")

    async def products(self, shop: Shop, recipe: Recipe) -> frozenset[str]:
        """What a build left that git would not ignore, as paths in the tree; files of the tree are among them."""
        words = ("sh", "-c", _PRODUCTS, "products", recipe.products, recipe.mirrors)
        ran = await self.run(shop, *words, seconds=300)
        if not ran.ok:
            raise InfraError(
                f"what was built cannot be listed: {ran.said or ran.stderr.decode(errors='replace')[-300:]}"
            )
        parts = ran.stdout.decode("utf-8", "surrogateescape").split("\0")
        rows = zip(parts[::4], parts[2::4], parts[3::4], strict=False)
        return frozenset(path for source, pattern, path in rows if not source or pattern.startswith("!"))


async def tools_at(place: Place) -> str:
    """What programs there are, and their versions: what an object depends on besides its source."""
    ran = await place.isolation.run(Cage(limits=Limits(seconds=60)), ("sh", "-c", _TOOLS))
    return ran.stdout.decode("utf-8", "replace")


async def copy(former: Path, into: Path) -> None:
    """A copy of an object folder, times and all, by reference where the file system can. Ends with who waits for it."""
    process = await asyncio.create_subprocess_exec(
        "cp", "-a", "--reflink=auto", "--", f"{former}/.", str(into),
        stdin=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        _, said = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await asyncio.shield(process.wait())
    if process.returncode:
        raise OSError(f"cp: {said.decode(errors='replace').strip()[-500:]}")
