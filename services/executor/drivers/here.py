"""What a driver may use of the machine that it runs on."""

from dataclasses import dataclass, field
from pathlib import Path

from shared.git.store import Store
from shared.settings import Checks


@dataclass(frozen=True, slots=True)
class Here:
    """`state` is a folder of the executor's own, for what drivers keep; `checks` says how strangers' code is caged.
    `store` has the commits that are tested."""

    state: Path
    checks: Checks = field(default_factory=Checks)
    store: Store | None = None
