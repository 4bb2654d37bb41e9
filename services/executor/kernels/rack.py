"""Where kernels come from, by what an operator writes as ``kernel``."""

from collections.abc import Callable
from pathlib import Path

from services.executor.cage.base import Isolation
from services.executor.drivers.here import Here
from services.executor.kernels.base import Kernels
from services.executor.kernels.built import BuiltKernels
from services.executor.kernels.config import KernelBuild
from services.executor.kernels.given import GivenKernel


def kernels_for(
    kernel: Path | KernelBuild,
    modules: Path | None,
    vmlinux: Path | None,
    needs: tuple[str, ...],
    here: Here,
    isolation: Callable[[], Isolation],
) -> Kernels:
    """`needs` are symbols that a machine cannot be begun without, for kernels that are built."""
    if isinstance(kernel, KernelBuild):
        return BuiltKernels(kernel, needs, here, isolation)
    return GivenKernel(kernel, here.state / "kernels", modules, vmlinux)
