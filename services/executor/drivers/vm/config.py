"""What an operator writes to have tests run in virtual machines."""

from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from services.executor.kernels.config import KernelBuild
from shared.settings import Duration, Name


class VmConfig(BaseModel):
    """``driver = { kind = "vm", kernel = "/srv/netci/bzImage", root = "/srv/netci/guest", count = 4 }``

    `kernel` is an image, with the `modules` folder of its release if not all is built in, or a distribution's package
    (``.deb``) that has both; or a table, that says how one is built of each branch (`KernelBuild`).

    `root` is a folder with a small system: an sshd, a shell and what the tests call; guests
    read it, and what they write is their own and gone with them. `count` guests run at one time; executors of one
    `pool` share them. A guest has `memory` bytes and `cpus`; `append` are more arguments of its kernel, `qemu` more
    words for QEMU. `health` is a script that is run in the guest after each test: what it says, if it fails, is why
    the guest is replaced.

    A guest is begun when this machine has room: its load is below `load` for each processor, memory is there and what
    waits to be written is below `dirty` bytes; at most one in `stagger`. Room is waited for for `patience`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["vm"]
    kernel: Path | KernelBuild
    modules: Path | None = None
    vmlinux: Path | None = None
    root: Path
    pool: Name = "vm"
    count: int = Field(default=1, ge=1, le=256)
    memory: int = Field(default=1 << 30, ge=64 << 20, le=1 << 40)
    cpus: int = Field(default=1, ge=1, le=256)
    append: str = ""
    qemu: tuple[str, ...] = ()
    program: str = "qemu-system-x86_64"
    health: str = ""
    boot_limit: Duration = timedelta(minutes=3)
    connect_timeout: Duration = timedelta(seconds=20)
    kill_grace: Duration = timedelta(seconds=2)
    load: float = Field(default=4.0, gt=0)
    dirty: int = Field(default=2 << 30, ge=1 << 20)
    stagger: Duration = timedelta(seconds=1)
    patience: Duration = timedelta(minutes=30)
    build_memory: int = Field(default=4 << 30, ge=64 << 20, description="bytes; of a step that prepares a suite")
    build_disk: int = Field(default=16 << 30, ge=1 << 20, description="bytes that such a step may write")

    @field_validator("kernel", "modules", "vmlinux", "root")
    @classmethod
    def _absolute(cls, path: Path | KernelBuild | None) -> Path | KernelBuild | None:
        if not isinstance(path, Path):
            return path
        if not path.is_absolute():
            raise ValueError(f"{str(path)!r} is not an absolute path")
        if path == Path("/"):
            raise ValueError("a guest never gets this machine's own root; make it one of its own")
        return path

    @field_validator("append")
    @classmethod
    def _one_line(cls, text: str) -> str:
        if not text.isprintable():
            raise ValueError("arguments of a kernel are one line")
        return text

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if isinstance(self.kernel, KernelBuild):
            if self.modules or self.vmlinux:
                raise ValueError("modules, vmlinux: a kernel that is built has its own")
        elif self.kernel.suffix == ".deb" and self.modules:
            raise ValueError("modules: a package has its own")
        return self

    @property
    def public(self) -> dict[str, Any]:
        """What guests are like, without a path of this machine."""
        built = self.kernel if isinstance(self.kernel, KernelBuild) else None
        kernel = (
            built.model_dump(mode="json", include={"source", "symbols", "debug", "modules", "variables"})
            if built
            else {}
        )
        return {"memory": self.memory, "cpus": self.cpus, "append": self.append, "kernel": kernel}

    @property
    def slots(self) -> tuple[str, ...]:
        return tuple(f"{self.pool}-{n}" for n in range(self.count))
