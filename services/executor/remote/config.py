"""The configuration of `netci remote`: a file of its own, validated whole at start as ours is."""

import ipaddress
import ssl
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from services.executor.drivers.here import Here
from services.executor.rack import fit
from services.executor.runs import Bench
from services.executor.trees import Trees
from shared.errors import Refused
from shared.http import trusting
from shared.settings import Address, Duration, Executor, Table, load_as, secret

EXAMPLE = "config/remote.example.toml"


def _safe(url: str) -> str:
    """A server's address: a token never travels in the clear, but within this machine."""
    parts = urlsplit(url)
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise ValueError("an address like https://ci.example.org")
    if parts.scheme == "http" and not _is_here(parts.hostname):
        raise ValueError("a token does not travel in the clear: use https")
    return url.rstrip("/")


def _is_here(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


Server = Annotated[Address, AfterValidator(_safe)]


class Retry(Table):
    """How long is waited before the server is asked again, longer each time."""

    first: Duration = timedelta(seconds=1)
    longest: Duration = timedelta(minutes=1)


class LabSettings(Table):
    server: Server
    token_env: str = ""
    token_file: Path | None = None
    data: Path
    ca_file: Path | None = Field(default=None, description="certificates (PEM) believed besides the public ones")
    follow: Literal["sse", "poll", "branches.json"] = "sse"
    branches: Address = Field(default="", description="where branches.json is; default: the server's own")
    poll: Duration = timedelta(seconds=60)
    silence: Duration = Field(
        default=timedelta(seconds=60), description="a stream that says nothing for so long is dead"
    )
    backlog: Literal["newest", "all"] = "newest"
    oldest: Duration = timedelta(hours=24)
    git: Address = ""
    heartbeat: Duration = timedelta(seconds=60)
    timeout: Duration = timedelta(seconds=60)
    retry: Retry = Retry()
    free: int = Field(default=2 << 30, ge=0, description="bytes; below it no new run starts")
    executors: tuple[Executor, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if not (self.token_env or self.token_file):
            raise ValueError("token_file: is needed, or token_env: where the token is")
        names = [executor.name for executor in self.executors]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"executors: {', '.join(twice)} stands twice")
        return self

    @property
    def branches_url(self) -> str:
        return self.branches or f"{self.server}/branches.json"

    def trust(self) -> ssl.SSLContext:
        """Whose certificates are believed. Raises Refused."""
        try:
            return trusting(self.ca_file)
        except OSError as exc:
            raise Refused(f"ca_file: {self.ca_file}: {exc.strerror or exc}") from None

    def token(self) -> str:
        """As it is now: a new one is taken up without a restart. Raises Refused."""
        return secret(env=self.token_env, file=self.token_file, what="token_file" if self.token_file else "token_env")

    def benches(self) -> list[Bench]:
        """All executors, ready to run. Raises Refused, naming the key."""
        trees = Trees(self.data, "lab")
        here = Here(self.data / "executor", store=trees.store)
        return [fit(table, table.name, trees, here) for table in self.executors]


def load(path: Path) -> LabSettings:
    """Settings from a file. Raises Refused, naming every fault by the path of its key."""
    settings = load_as(LabSettings, path, EXAMPLE)
    settings.benches()
    settings.token()
    settings.trust()
    return settings
