"""The rack of powers: what exists, by the name an operator writes in ``power = { kind = … }``."""

from typing import Annotated, assert_never

from pydantic import Field

from services.executor.power.base import Power
from services.executor.power.command import CommandConfig, CommandPower
from services.executor.power.ipmi import IpmiConfig, IpmiPower
from services.executor.power.none import NoneConfig, NoPower
from services.executor.power.qemu import QemuConfig, QemuPower
from services.executor.power.redfish import RedfishConfig, RedfishPower

PowerConfig = Annotated[
    CommandConfig | IpmiConfig | NoneConfig | QemuConfig | RedfishConfig, Field(discriminator="kind")
]
"""The pydantic type of the ``power`` key of a machine."""


def power_for(config: PowerConfig, machine: str) -> Power:
    """What has power over a machine; errors name it."""
    match config:
        case CommandConfig():
            return CommandPower(config, machine)
        case IpmiConfig():
            return IpmiPower(config, machine)
        case NoneConfig():
            return NoPower(config, machine)
        case QemuConfig():
            return QemuPower(config, machine)
        case RedfishConfig():
            return RedfishPower(config, machine)
        case _:
            assert_never(config)
