"""The rack of drivers: what exists, by the name an operator writes in ``driver = { kind = … }``."""

from typing import Annotated, Any, assert_never

from pydantic import BeforeValidator, Field

from services.executor.drivers.base import Driver
from services.executor.drivers.dualhost.config import DualHostConfig
from services.executor.drivers.dualhost.driver import DualHostDriver
from services.executor.drivers.here import Here
from services.executor.drivers.ssh import SshDriver
from services.executor.drivers.ssh_config import SshConfig
from services.executor.drivers.vm.config import VmConfig
from services.executor.drivers.vm.driver import VmDriver


def _with_kind(table: Any) -> Any:
    """A table without a kind is ssh's: it was the first, and those tables are out there."""
    return {"kind": "ssh", **table} if isinstance(table, dict) else table


AnyConfig = SshConfig | VmConfig | DualHostConfig
DriverConfig = Annotated[Annotated[AnyConfig, Field(discriminator="kind")], BeforeValidator(_with_kind)]
"""The pydantic type of the ``driver`` key."""


def driver_for(config: AnyConfig, here: Here) -> Driver:
    """The driver an executor's configuration asks for."""
    match config:
        case SshConfig():
            return SshDriver(config)
        case VmConfig():
            return VmDriver(config, here)
        case DualHostConfig():
            return DualHostDriver(config, here)
        case _:
            assert_never(config)
