"""What an operator writes to have kernels built from the branches that are tested."""

from datetime import timedelta
from pathlib import Path, PurePosixPath

from pydantic import BaseModel, ConfigDict, Field, field_validator

from services.executor.builds.recipe import Symbol, Target, Variables
from services.executor.suites.base import inside
from shared.settings import Duration


class KernelBuild(BaseModel):
    """``kernel = { source = "defconfig", fragments = ["/etc/netci/vm.config"], debug = true }``

    The configuration begins with `source`, a target of make, or with `config`, a whole one in a file, and is told what
    the suite's tests ask for in their ``config`` files (unless `suite` is false), then the `fragments` in order: a path
    in the tree, or an absolute one of this machine; then `symbols`, as ``FOO``, ``FOO=m`` or ``FOO=n``; with `debug`
    also what finds more bugs, at a price in time. What a guest cannot be begun without comes last. Without `modules`
    all is built in. `variables` are make's, as LLVM. One build may take `limit`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: Target = "defconfig"
    config: Path | None = None
    fragments: tuple[str, ...] = ()
    symbols: tuple[Symbol, ...] = ()
    suite: bool = True
    debug: bool = False
    modules: bool = True
    variables: Variables = Field(default_factory=dict)
    limit: Duration = timedelta(hours=6)

    @field_validator("fragments")
    @classmethod
    def _paths(cls, paths: tuple[str, ...]) -> tuple[str, ...]:
        for path in paths:
            if not (inside(path) or PurePosixPath(path).is_absolute()):
                raise ValueError(f"{path!r} is neither an absolute path nor one inside the tree")
        return paths
