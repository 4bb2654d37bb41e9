"""What an operator writes to have tests run on a machine under test and its peer."""

import re
from datetime import timedelta
from ipaddress import IPv4Interface, IPv6Interface
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from services.executor.drivers.ssh_config import Access, Address
from services.executor.kernels.config import KernelBuild
from services.executor.power.none import NoneConfig
from services.executor.power.rack import PowerConfig
from shared.settings import Duration, Name

_PLAIN = re.compile(r"[A-Za-z0-9._:@%/+-]+")


def _interface(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,14}", name):
        raise ValueError(f"{name!r} is no name of an interface")
    return name


def _one_word(text: str) -> str:
    # The kernel's own reader of net.config takes quotes for part of a value, and its shell tests source the file.
    if text and not _PLAIN.fullmatch(text):
        raise ValueError(f"{text!r} cannot stand in net.config: letters, digits and . _ : @ % / + - alone")
    return text


Interface = Annotated[str, AfterValidator(_interface)]
Word = Annotated[str, AfterValidator(_one_word)]


class MachineConfig(BaseModel):
    """``machines.dut7 = { address = "root@dut7.lab", power = { kind = "ipmi", … } }``

    It must answer within `boot_limit` of being switched on. `golden` is how the release of its own kernel begins: it is
    given to nobody while it runs another one. `health` is a script that must succeed on it before and after each lease.
    `initrd` is a file on the machine that goes with a kernel which is put there, `append` more arguments of such a one.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    address: str
    power: PowerConfig = NoneConfig()
    boot_limit: Duration = timedelta(minutes=10)
    golden: str = ""
    health: str = ""
    initrd: PurePosixPath | None = None
    append: str = ""

    @field_validator("address")
    @classmethod
    def _reachable(cls, text: str) -> str:
        return str(Address.parse(text))


class LinkConfig(BaseModel):
    """``links.ice = { dut = "dut7", peer = "dut8", netif = "eth2", peer_netif = "eth2", … }``

    Without `peer` the other end is an interface of the machine under test as well, and is put into the namespace
    `namespace` of it. The addresses have their prefixes (``192.0.2.1/24``) and are set on both ends. `remote` is how
    the machine under test reaches its peer (``root@192.0.2.2``); unless said, as we do. Tests that break the link are
    skipped if it is not `disruptive`. The kernel's shell tests want two different names for the interfaces.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    dut: Name
    peer: Name | None = None
    netif: Interface
    peer_netif: Interface
    local_v4: IPv4Interface | None = None
    remote_v4: IPv4Interface | None = None
    local_v6: IPv6Interface | None = None
    remote_v6: IPv6Interface | None = None
    local_prefix_v6: Word = ""
    remote: Word = ""
    namespace: Interface = "netci-peer"
    disruptive: bool = True
    carrier: Duration = timedelta(seconds=30)

    @model_validator(mode="after")
    def _pairs(self) -> Self:
        for family in ("v4", "v6"):
            ends = getattr(self, f"local_{family}"), getattr(self, f"remote_{family}")
            if (ends[0] is None) != (ends[1] is None):
                raise ValueError(f"local_{family} and remote_{family} are given both or not at all")
        if self.local_v4 is None and self.local_v6 is None:
            raise ValueError("a link has addresses: local_v4 and remote_v4, or local_v6 and remote_v6")
        if self.peer == self.dut:
            raise ValueError("a machine is no peer of itself; leave peer out to have it in a namespace")
        return self


class DualHostConfig(Access):
    """``driver = { kind = "dualhost", machines.… , links.… , known_hosts = "/etc/netci/known_hosts", … }``

    `links` are what is leased, with both machines of each. `kernel` is an image on this machine or how one is built of
    each branch; it is begun by kexec, and the machine's own kernel again when the lease ends. Without, tests run on the
    machine's own. Suites are prepared `build_on` this machine, in a cage, and sent; or on the machine under test.
    A machine that fails `quarantine_after` times in a row is given to nobody until a person says so. `net_config` are
    folders, besides those of drivers/net in an installed suite, that get a net.config.
    """

    kind: Literal["dualhost"]
    machines: dict[Name, MachineConfig] = Field(min_length=1)
    links: dict[Name, LinkConfig] = Field(min_length=1)
    kernel: Path | KernelBuild | None = None
    modules: Path | None = None
    vmlinux: Path | None = None
    build_on: Literal["here", "dut"] = "here"
    quarantine_after: int = Field(default=3, ge=1)
    net_config: tuple[PurePosixPath, ...] = ()
    build_memory: int = Field(default=4 << 30, ge=64 << 20, description="bytes; of a step that prepares a suite")
    build_disk: int = Field(default=16 << 30, ge=1 << 20, description="bytes that such a step may write")

    @model_validator(mode="after")
    def _known(self) -> Self:
        for name, link in self.links.items():
            for end in filter(None, (link.dut, link.peer)):
                if end not in self.machines:
                    raise ValueError(f"links.{name}: there is no machines.{end}")
        if not isinstance(self.kernel, Path) and (self.modules or self.vmlinux):
            raise ValueError("modules, vmlinux: they belong to a kernel that is an image")
        return self
