"""What an operator writes to have hosts reached over SSH, and the addresses in it.

Answers which hosts, whose keys are believed and how long we wait. Refuses to know how a connection is made.
There is no switch that accepts an unknown host key: whoever can stand between us and a host decides what a
patch is said to do.
"""

import os
import re
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from shared.settings import Duration

_ADDRESS = re.compile(
    r"(?:(?P<user>[A-Za-z0-9._-]+)@)?(?:\[(?P<six>[0-9A-Fa-f:.%a-z]+)\]|(?P<host>[A-Za-z0-9._-]+))(?::(?P<port>\d{1,5}))?"
)


@dataclass(frozen=True, slots=True)
class Address:
    """``user@host:port``; user defaults to root, port to 22; an IPv6 address stands in brackets."""

    host: str
    user: str = "root"
    port: int = 22

    @classmethod
    def parse(cls, text: str) -> "Address":
        found = _ADDRESS.fullmatch(text)
        port = int(found["port"] or 22) if found else 0
        if not found or not 0 < port < 65536 or (found["host"] or "").startswith("-"):
            raise ValueError(f"{text!r} is not a host to reach (try 'root@vm1', 'root@vm1:2222', 'ci@[fd00::1]')")
        return cls(found["six"] or found["host"], found["user"] or "root", port)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.user}@{host}" + (f":{self.port}" if self.port != 22 else "")


@dataclass(frozen=True, slots=True)
class Manner:
    """How a machine at the other end of a connection is spoken to: how long it may take to open a channel, how long a
    process that is told to end is waited for, and where there we keep our things.
    """

    connect_timeout: timedelta
    kill_grace: timedelta
    directory: str


class Access(BaseModel):
    """How hosts are reached and believed, and what is kept on them.

    Keys come from `key_file` (not readable by others) or, with `agent`, from the agent of ``SSH_AUTH_SOCK``.
    Host keys come from the `known_hosts` file, from `host_keys` (lines of the same form), or both. `jump` is
    one more address to go through, verified alike. `directory` is where we keep our things on the host, relative to
    the login's home.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    key_file: Path | None = None
    agent: bool = False
    known_hosts: Path | None = None
    host_keys: tuple[str, ...] = ()
    jump: str = ""
    connect_timeout: Duration = timedelta(seconds=20)
    keepalive_interval: Duration = timedelta(seconds=15)
    keepalive_count: int = Field(default=4, ge=1)
    kill_grace: Duration = timedelta(seconds=2)
    directory: str = Field(default=".netci", pattern=r"^[A-Za-z0-9._/-]+$")

    @field_validator("jump")
    @classmethod
    def _jump(cls, jump: str) -> str:
        return str(Address.parse(jump)) if jump else ""

    @field_validator("key_file")
    @classmethod
    def _key_file(cls, path: Path | None) -> Path | None:
        if path and path.exists() and os.stat(path).st_mode & 0o077:
            raise ValueError(f"{path} can be read by others (chmod 600 {path})")
        return path

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if not self.known_hosts and not self.host_keys:
            raise ValueError("known_hosts or host_keys is needed: a host is never believed unseen (ssh-keyscan HOST)")
        if not self.key_file and not self.agent:
            raise ValueError("key_file is needed, or agent = true")
        return self

    @property
    def manner(self) -> Manner:
        return Manner(self.connect_timeout, self.kill_grace, self.directory)


class SshConfig(Access):
    """``driver = { kind = "ssh", hosts = ["root@vm1"], known_hosts = "/etc/netci/known_hosts" }``

    `reset` is the command that makes a host as new; it runs on the host, or with ``reset_on = "here"`` on the
    executor's machine with NETCI_HOST set.
    """

    kind: Literal["ssh"] = "ssh"
    hosts: tuple[str, ...] = Field(min_length=1)
    reset: str = ""
    reset_on: Literal["host", "here"] = "host"
    reset_timeout: Duration = timedelta(minutes=5)

    @field_validator("hosts")
    @classmethod
    def _hosts(cls, hosts: tuple[str, ...]) -> tuple[str, ...]:
        parsed = [Address.parse(host) for host in hosts]
        if len(set(parsed)) < len(parsed):
            raise ValueError("a host is named twice; it can serve one lease at a time")
        return hosts
