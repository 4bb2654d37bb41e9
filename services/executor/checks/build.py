"""The kernel built before and after each patch, in several ways: a message that was not there fails.

Which configuration, which symbols, which parts of the tree: options. What ships as the default is NIPA's.
"""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import ClassVar, Literal, Self

from pydantic import Field, PrivateAttr, field_validator, model_validator

from services.executor.builds import answer
from services.executor.builds.recipe import Kconfig, Recipe, Step, Symbol, Target, Variables, variables
from services.executor.checks.base import CheckConfig, Desk, Needs, OurCheck, Said, Subject, success
from shared.settings import Duration


class BuildConfig(CheckConfig):
    """`kconfig` is a target of make (allmodconfig, tinyconfig, defconfig …) or an absolute path of a .config or a part
    of one on this machine; after that `symbols` are set: ``FOO``, ``FOO=m``, ``FOO=n``. `targets` are what is built:
    the whole tree, or folders as ``drivers/net/``. `noise`: regular expressions of messages that do not count.
    """

    kconfig: str = "allmodconfig"
    symbols: tuple[Symbol, ...] = ()
    targets: tuple[Target, ...] = ()
    make: Variables = Field(default={}, description="variables of make")
    noise: tuple[str, ...] = ()
    ccache: bool = Field(default=True, description="keep what the compiler made of bases, if ccache is there")
    base_time_limit: Duration = Field(default=timedelta(hours=12), description="of building a base, once")

    _text: str = PrivateAttr("")

    @field_validator("kconfig")
    @classmethod
    def _target_or_path(cls, value: str) -> str:
        if not value.startswith("/") and not value.replace("_", "").replace("-", "").isalnum():
            raise ValueError(f"{value!r}: neither a target as allmodconfig nor an absolute path")
        return value

    @model_validator(mode="after")
    def _read(self) -> Self:
        if self.kconfig.startswith("/"):
            try:
                self._text = Path(self.kconfig).read_text("utf-8")
            except (OSError, ValueError) as exc:
                raise ValueError(f"kconfig: {exc}") from None
        return self

    def form(self, required: tuple[str, ...] = ()) -> Kconfig:
        """The kernel's configuration that this asks for."""
        return Kconfig(self.kconfig, self.symbols, required, self._text)


class KernelBuild(OurCheck):
    """What the builds have in common: `flags` are make's variables, `compiler` what is called through ccache."""

    needs = Needs.BUILD
    pulls = True
    limit = timedelta(hours=2)
    tools: ClassVar[tuple[str, ...]] = ("make", "gcc", "flex", "bison", "bc")
    Config = BuildConfig
    flags: ClassVar[Mapping[str, str]] = {}
    compiler: ClassVar[Literal["gcc", "clang"]] = "gcc"
    required: ClassVar[tuple[str, ...]] = ()
    before: ClassVar[tuple[str, ...]] = ()
    config: BuildConfig

    def recipe(self, desk: Desk) -> Recipe:
        """What is built; by way of ccache where there is one."""
        config = self.config
        cached = {"CC": f"ccache {self.compiler}"} if config.ccache and desk.has("ccache") else {}
        return Recipe(
            name=self.name,
            kconfig=config.form(self.required),
            variables=variables(flags={**self.flags, **cached, **config.make}),
            before=self.before,
            steps=(Step(config.targets),),
            noise=config.noise,
            seconds=self.time_limit.total_seconds(),
            base_seconds=config.base_time_limit.total_seconds(),
        )

    async def ask(self, subject: Subject, desk: Desk) -> Said:
        return await answer.build(subject, desk, self.recipe(desk))


class AllmodconfigConfig(BuildConfig):
    symbols: tuple[Symbol, ...] = ("WERROR=n", "RUST=n")


class BuildAllmodconfigWarn(KernelBuild):
    """gcc with more warnings, and sparse."""

    name = "build_allmodconfig_warn"
    help = "new warnings and errors of gcc (W=1) and sparse"
    tools: ClassVar[tuple[str, ...]] = (*KernelBuild.tools, "sparse")
    Config = AllmodconfigConfig
    flags: ClassVar[Mapping[str, str]] = {"W": "1", "C": "1"}


class WithoutWerror(BuildConfig):
    symbols: tuple[Symbol, ...] = ("WERROR=n",)


class BuildClang(KernelBuild):
    name = "build_clang"
    help = "new warnings and errors of clang (W=1)"
    tools: ClassVar[tuple[str, ...]] = (*KernelBuild.tools, "clang", "ld.lld")
    Config = WithoutWerror
    flags: ClassVar[Mapping[str, str]] = {"LLVM": "1", "W": "1"}
    compiler: ClassVar[Literal["gcc", "clang"]] = "clang"


class Build32bit(KernelBuild):
    name = "build_32bit"
    help = "new warnings and errors of gcc (W=1) for 32 bits"
    Config = AllmodconfigConfig
    flags: ClassVar[Mapping[str, str]] = {"ARCH": "i386", "W": "1"}


class RustConfig(BuildConfig):
    """Rust's support comes only with a number of other things off, and drivers in Rust only with those built in."""

    symbols: tuple[Symbol, ...] = (
        "WERROR=n", "RANDSTRUCT_FULL=n", "RANDSTRUCT_NONE=y", "MODVERSIONS=n", "RUST=y",
    )  # fmt: skip


class BuildClangRust(KernelBuild):
    """Asked in earnest only of patches with Rust in them. Without a Rust toolchain that the base takes it cannot be."""

    name = "build_clang_rust"
    help = "new warnings and errors of rustc and clang, where a patch has Rust"
    tools: ClassVar[tuple[str, ...]] = BuildClang.tools
    uses: ClassVar[tuple[str, ...]] = ("rustc", "bindgen")
    Config = RustConfig
    flags: ClassVar[Mapping[str, str]] = {"LLVM": "1", "W": "1"}
    compiler: ClassVar[Literal["gcc", "clang"]] = "clang"

    required: ClassVar[tuple[str, ...]] = ("RUST=y",)
    before: ClassVar[tuple[str, ...]] = ("rustavailable",)

    async def ask(self, subject: Subject, desk: Desk) -> Said:
        if not any(path.endswith(".rs") for path in subject.paths):
            return success("No Rust files in patch. Skipping build")
        return await super().ask(subject, desk)
