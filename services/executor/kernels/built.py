"""Kernels built from the branch: one for each commit, configuration and compiler, whoever asks for it.

Theory of operation. The build is that of a check's base (builds/): in a cage, out of the tree, over the objects of a
commit that is near, with the compiler's cache. What a machine boots is copied out of its object folder, with the
configuration, the compiler's version and the log, into a folder that gets its name when it is whole. A commit that does
not build is remembered by its object folder, so that the next guest is told the same without waiting.
"""

import asyncio
import contextlib
import hashlib
import json
import os
import platform
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import structlog

from services.executor.builds.bases import Base, Bases
from services.executor.builds.making import Making, Unconfigured
from services.executor.builds.recipe import OBJECTS, SOURCE, Kconfig, Recipe, Step, variables
from services.executor.builds.yard import Yard, tools_at
from services.executor.cage.base import Isolation
from services.executor.checking.place import Machine, Place
from services.executor.checking.seats import make_folder
from services.executor.drivers.base import Job
from services.executor.drivers.here import Here
from services.executor.kernels import fragments
from services.executor.kernels.base import DoesNotBuild, Kernel
from services.executor.kernels.config import KernelBuild
from shared.errors import InfraError, Missing, Refused
from shared.git.store import Store
from shared.model.ids import Sha

log = structlog.get_logger(__name__)

KEPT = 8
"""Kernels that stay though nobody has booted them for a day."""
_DAY = 86400.0
_NAMED = "the configuration that was given"
_INSTALLED = "netci-installed"
_IMAGES = {"x86_64": ("bzImage", "arch/x86/boot/bzImage"), "aarch64": ("Image.gz", "arch/arm64/boot/Image.gz")}
_ERROR = re.compile(r"\S.*?(?:: (?:fatal )?error: |: error:|undefined reference|ERROR: modpost: ).*")


class BuiltKernels:
    """See `base.Kernels`. `needs` are symbols that the driver's machines cannot be begun without."""

    def __init__(
        self, build: KernelBuild, needs: tuple[str, ...], here: Here, isolation: Callable[[], Isolation]
    ) -> None:
        self._build, self._needs, self._here, self._isolation = build, needs, here, isolation
        self._folder = here.state / "kernels"
        self._alone = asyncio.Lock()
        self._place: Place | None = None
        self._tools = ""

    def examine(self) -> str:
        if self._build.config:
            _text(self._build.config)
        for path in self._build.fragments:
            if path.startswith("/"):
                fragments.read(_text(Path(path)), path)
        if platform.machine() not in _IMAGES:
            raise Refused(f"kernel: what {platform.machine()} boots is not known here; give an image")
        return f"kernels built from the branch, {self._build.source}"

    async def kernel(self, job: Job) -> Kernel:
        """Built now if it is not there. One at a time: a build has all hands of this machine."""
        if not job.commit:
            raise Refused("kernel: a run without a commit has no kernel to build; give an image")
        async with self._alone:
            place = await self._at()
            commit = Sha(job.commit)
            recipe = await self._recipe(place.store, commit, job.config)
            folder = self._folder / "built" / await self._key(place, commit, recipe)
            if not folder.is_dir():
                await self._make(place, commit, recipe, folder)
            os.utime(folder)
            await asyncio.to_thread(self._forget)
            return await asyncio.to_thread(_read, folder)

    async def _at(self) -> Place:
        if self._place is None:
            if (store := self._here.store) is None:
                raise Refused("kernel: nothing can be built here; give an image or a package")
            place = Machine.of(self._isolation(), self._here.checks).place(store, self._folder / "work")
            await asyncio.to_thread(place.sweep)
            self._place = place
        self._tools = self._tools or await tools_at(self._place)
        return self._place

    async def _recipe(self, store: Store, commit: Sha, suite: tuple[str, ...]) -> Recipe:
        build = self._build
        wanted: list[tuple[str, ...]] = []
        for path in (*(suite if build.suite else ()), *build.fragments):
            text = _text(Path(path)) if path.startswith("/") else await _in_tree(store, commit, path)
            if text is None and path not in suite:
                raise Refused(f"kernel.fragments: commit {commit[:12]} has no {path}")
            wanted.append(fragments.read(text or "", path))
        more = fragments.DEBUG if build.debug else ()
        # What a suite asks for may depend on what nobody set; what a guest needs may not.
        symbols = fragments.merged(*wanted, more, build.symbols, self._needs, modules=build.modules)
        text = await asyncio.to_thread(_text, build.config) if build.config else ""
        return _recipe(build, symbols, self._needs, text)

    async def _key(self, place: Place, commit: Sha, recipe: Recipe) -> str:
        tree = (await place.store.commit_info(commit)).tree
        return hashlib.sha256(repr((tree, recipe.digest, self._tools)).encode()).hexdigest()[:32]

    async def _make(self, place: Place, commit: Sha, recipe: Recipe, folder: Path) -> None:
        cache = self._folder / "cache"
        bases = Bases(cache / "bases", place.settings.cache * 3 // 4)
        await asyncio.to_thread(bases.sweep)
        make_folder(cache / "ccache")
        log.info("kernel: building", commit=commit, source=self._build.source, symbols=len(_symbols(recipe)))
        begun = time.monotonic()
        async with place.seats.take(commit) as seat:
            yard = Yard(place, seat, place.settings.cache // 4)
            tools = hashlib.sha256(self._tools.encode()).hexdigest()
            try:
                base = await Making(yard, bases, recipe, tools, cache / "ccache", _quiet).base(commit)
            except Unconfigured as exc:
                raise DoesNotBuild(str(exc), exc.log) from exc
        with contextlib.closing(base):
            if not base.record.standing.built:
                raise DoesNotBuild(_first_error(base.log), base.log)
            seconds = time.monotonic() - begun
            facts = {"kernel_commit": str(commit), "compiler": _compiler(self._tools)}
            await asyncio.to_thread(_keep, base, folder, facts, self._tools, seconds)
        log.info("kernel: built", commit=commit, seconds=round(seconds, 1))

    def _forget(self) -> None:
        """Remove what nobody has booted for a day, but for the last ones: guests see the modules while they run."""
        there = sorted((one for one in (self._folder / "built").iterdir() if one.is_dir()), key=_used)
        for one in there[:-KEPT]:
            if _used(one) < time.time() - _DAY:
                shutil.rmtree(one, ignore_errors=True)


def _recipe(build: KernelBuild, symbols: tuple[str, ...], needs: tuple[str, ...], text: str) -> Recipe:
    image, _ = _IMAGES[platform.machine()]
    installing = (("INSTALL_MOD_PATH", f"{OBJECTS}/{_INSTALLED}"), ("INSTALL_MOD_STRIP", "1"))
    modules = (Step(("modules",)), Step(("modules_install",), variables=installing)) if build.modules else ()
    return Recipe(
        "kernel", Kconfig(_NAMED if text else build.source, symbols, needs, text),
        variables=variables(CC=_compiler_by_cache(build.variables), **build.variables),
        steps=(Step((image, "vmlinux")), *modules), base_seconds=build.limit.total_seconds(),
    )  # fmt: skip


def _compiler_by_cache(given: Mapping[str, str]) -> str:
    """By way of ccache, if the makefiles' own choice is not another one."""
    if "CC" in given or shutil.which("ccache") is None:
        return ""
    return "ccache clang" if given.get("LLVM") == "1" else "" if given.get("LLVM") else "ccache gcc"


def _symbols(recipe: Recipe) -> tuple[str, ...]:
    return recipe.kconfig.symbols if recipe.kconfig else ()


async def _in_tree(store: Store, commit: Sha, path: str) -> str | None:
    try:
        return (await store.read_blob(commit, path)).decode(errors="replace")
    except Missing:
        return None


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError as exc:
        raise Refused(f"kernel.fragments: {path}: {exc.strerror}") from None


def _quiet(text: str) -> None:
    log.info("kernel: " + text.lower())


def _first_error(text: str) -> str:
    found = next((match[0] for line in text.splitlines() if (match := _ERROR.match(line))), "")
    return found[:300] or "the build failed"


def _compiler(tools: str) -> str:
    """The first line of what gcc, or else clang, says of itself."""
    found = re.search(r"^== (?:gcc|clang)\n(.+)$", tools, re.MULTILINE)
    return found[1].strip() if found else ""


def _keep(base: Base, folder: Path, facts: Mapping[str, str], tools: str, seconds: float) -> None:
    """Copy out of an object folder what is booted, and what tells how it came to be."""
    make_folder(folder.parent)
    new = Path(tempfile.mkdtemp(prefix=".new-", dir=folder.parent))
    try:
        new.chmod(0o755)
        objects = base.objects
        release = (objects / "include/config/kernel.release").read_text().strip()
        if not re.fullmatch(r"[\w.+~-]{1,128}", release):
            raise InfraError(f"a kernel of the release {release[:80]!r} cannot be kept")
        for source, name in ((_IMAGES[platform.machine()][1], "image"), ("vmlinux", "vmlinux"), (".config", "config")):
            shutil.copyfile(objects / source, new / name)
        modules = objects / _INSTALLED / "lib/modules" / release
        if modules.is_dir():
            # They name the folders that they were built from, which are not there any more.
            shutil.copytree(modules, new / "modules", symlinks=True, ignore=shutil.ignore_patterns("build", "source"))
        (new / "log").write_text(base.log)
        (new / "tools").write_text(tools)
        config = hashlib.sha256((new / "config").read_bytes()).hexdigest()[:16]
        lacking = {"kernel_lacks": ", ".join(base.record.lacking)} if base.record.lacking else {}
        about = {"release": release, "facts": {**facts, "kernel_config": config, **lacking}, "seconds": seconds}
        (new / "about.json").write_text(json.dumps(about))
        with contextlib.suppress(OSError):
            # Another process may have been as quick.
            new.rename(folder)
    except OSError as exc:
        raise InfraError(f"a kernel that was built cannot be kept: {exc}") from exc
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _read(folder: Path) -> Kernel:
    about = json.loads((folder / "about.json").read_text())
    modules = folder / "modules"
    return Kernel(
        folder / "image", modules if modules.is_dir() else None, about["release"], folder / "vmlinux", about["facts"],
        {name: folder / name for name in ("log", "config", "tools")}, SOURCE, about["seconds"],
    )  # fmt: skip


def _used(folder: Path) -> float:
    return folder.stat().st_mtime
