"""The rack of drivers: what exists, by the name an operator writes in ``driver = { kind = … }``."""

from collections.abc import Callable, Mapping

from services.executor.drivers.base import Driver
from services.executor.drivers.ssh import SshDriver
from services.executor.drivers.ssh_config import SshConfig

DriverConfig = SshConfig
"""The pydantic type of the ``driver`` key; a union discriminated by `kind` once there is a second driver."""

DRIVERS: Mapping[str, Callable[[SshConfig], Driver]] = {"ssh": SshDriver}


def driver_for(config: DriverConfig) -> Driver:
    """The driver an executor's configuration asks for."""
    return DRIVERS[config.kind](config)
