"""The configuration: one TOML file, validated whole at start, every fault named by the path of its key.

Secrets are never inline: a key ending in `_env` names an environment variable, one ending in `_file` a file that
only its owner may read. Each room asks for its own secrets when it needs them, so a room that was not given a
secret starts without it.
"""

import ipaddress
import os
import re
import tomllib
from collections.abc import Collection
from datetime import timedelta
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationError,
    model_validator,
)

from shared.errors import Refused
from shared.model.ids import OWN_REMOTE

_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_DURATION = re.compile(r"(?P<n>\d+(?:\.\d+)?)(?P<unit>ms|s|m|h|d|w)")


def parse_duration(value: object) -> object:
    """``"90s"``, ``"3h"``, ``"1h30m"`` as a timedelta. Raises ValueError; a bare number does not say of what."""
    if isinstance(value, timedelta):
        return value
    parts = list(_DURATION.finditer(value)) if isinstance(value, str) else []
    if not parts or "".join(p.group() for p in parts) != value:
        raise ValueError('a duration like "30s", "3h", "1h30m" or "5d"')
    try:
        return timedelta(seconds=sum(float(p["n"]) * _UNITS[p["unit"]] for p in parts))
    except OverflowError:
        raise ValueError("longer than anything lasts") from None


def without_login(address: str) -> str:
    """Addresses are shown on pages and in logs, so a password in one is a fault of the file."""
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://[^/@]*:[^/@]*@", address):
        raise ValueError("a password does not belong in an address; use a key file or the machine's own store")
    return address


def web_address(address: str) -> str:
    """What is fetched by HTTP says so; "" is none."""
    if address and not re.match(r"https?://[^/\s@]+(/\S*)?$", address):
        raise ValueError("an address like https://lab.example.org/results.json")
    return address


def parse_network(value: object) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    """``"10.0.0.0/8"`` or ``"fd00::/8"``. Raises ValueError, also for an address inside a network: which is meant?"""
    try:
        found = ipaddress.ip_interface(value) if isinstance(value, str) else None
    except ValueError:
        found = None
    if found is None:
        raise ValueError(f'{value!r} is no network like "10.0.0.0/8" or "fd00::/8"')
    if found.ip != found.network.network_address:
        raise ValueError(f'{value!r} is an address inside a network; perhaps "{found.network}" is meant')
    return found.network


Address = Annotated[str, AfterValidator(without_login)]
Duration = Annotated[timedelta, BeforeValidator(parse_duration)]
Network = Annotated[ipaddress.IPv4Network | ipaddress.IPv6Network, PlainValidator(parse_network)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$")]
Context = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,255}$")]
Listen = Annotated[
    str,
    Field(
        pattern=r"^(\[[0-9a-fA-F:]+\]|[^:\s]*):(0|[1-9]\d{0,3}|[1-5]\d{4}|6[0-4]\d{3}|65[0-4]\d\d|655[0-2]\d|6553[0-5])$"
    ),
]


class Table(BaseModel):
    """A table of the file. Unknown keys are faults, not ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Database(Table):
    url: str = ""
    url_env: str = ""
    url_file: Path | None = None
    pool: int = Field(default=8, ge=2, le=100)


class BusTable(Table):
    url: str = ""
    url_env: str = ""
    url_file: Path | None = None
    exchange: str = "netci"


class Web(Table):
    listen: Listen = "127.0.0.1:8080"
    public_url: str = ""
    trusted_proxies: tuple[str, ...] = ("127.0.0.1", "::1")
    streams_each: int = Field(
        default=64, ge=1, description="streams and long polls at one time of one address, or of one token"
    )
    streams: int = Field(default=4000, ge=1, description="of all without a token, and as many of all with one")


class IngestTable(Table):
    listen: Listen = "127.0.0.1:8081"


class Outgoing(Table):
    """What we connect to because a stranger named it: pull requests, webhooks, files of results."""

    allow_private: tuple[Network, ...] = ()


class Webhooks(Table):
    """Webhooks out. Without a key there are none: their secrets could not be kept."""

    key_file: Path | None = Field(default=None, description="32 bytes in base64, which secrets are sealed with")
    ca_file: Path | None = Field(default=None, description="certificates (PEM) believed besides the public ones")
    most: int = Field(default=20, ge=1, le=1000, description="endpoints of one remote, or of one token without one")


class Keep(Table):
    """How long each class of thing is kept."""

    events: Duration = timedelta(days=30)
    cases: Duration = timedelta(days=730)
    logs_pass: Duration = timedelta(days=14)
    logs_fail: Duration = timedelta(days=180)
    branches: Duration = timedelta(days=5)
    series_refs: Duration = timedelta(days=60)
    inbox: Duration = timedelta(days=7)
    webhooks: Duration = timedelta(days=30)


class Disk(Table):
    free: int = Field(default=2 << 30, ge=0, description="bytes; below it no new run starts")


class Patchwork(Table):
    url: Address
    project: Name
    token_env: str = ""
    token_file: Path | None = None
    poll: Duration = timedelta(seconds=60)
    overlap: Duration = timedelta(minutes=10)
    reconcile: Duration = timedelta(minutes=10)
    sync_queue: Duration = timedelta(hours=1)
    incomplete_after: Duration = timedelta(hours=1)
    timeout: Duration = timedelta(seconds=60)
    ignore_delegates: tuple[str, ...] = ()
    open_states: tuple[str, ...] = ("new", "under-review")
    pull_from: tuple[str, ...] = ()
    pull_timeout: Duration = timedelta(minutes=5)
    pull_bytes: int = Field(default=256 << 20, ge=1 << 16)
    pull_commits: int = Field(default=1000, ge=1)
    user_agent: str = ""
    covers: bool = True


class Triage(Table):
    """Which series are ours, and which tree they are for. A preset gives what is not set here."""

    preset: Literal["", "netdev"] = ""
    ours: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    not_: tuple[str, ...] = Field(default=(), alias="not")
    ignore_subjects: tuple[str, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _from_preset(cls, data: Any) -> Any:
        if isinstance(data, dict) and (name := data.get("preset")) and isinstance(name, str):
            return preset(name) | data
        return data


def preset(name: str) -> dict[str, Any]:
    """The rules that ship with us under `name`; {} if there are none."""
    file = resources.files("shared").joinpath("presets", f"{name}.toml")
    return tomllib.loads(file.read_text("utf-8")) if file.is_file() else {}


class Tree(Table):
    git: Address
    branch: str = "main"
    tags: tuple[str, ...] = ()
    kind: Literal["next", "fixes"] = "next"
    fetch: Duration = timedelta(minutes=5)
    three_way: bool = True


class Stream(Table):
    tree: Name
    merge: tuple[str, ...] = ()
    takes: tuple[str, ...] = ()
    every: Duration = timedelta(hours=3)
    push: Address
    push_key_file: Path | None = None
    push_known_hosts: Path | None = Field(default=None, description="default: the user's and the machine's own")
    public: Address = ""
    gate: tuple[Context, ...] = ("apply",)
    context: Context = "contest"
    patches: tuple[Path, ...] = Field(default=(), description="local patches put on every branch")
    grace: Duration = timedelta(minutes=30)
    expect: Duration = Field(default=timedelta(hours=3), description="after the cut; a remote silent past it is late")
    skips: Literal["warning", "ignore"] = "warning"


class Labs(Table):
    """What outside labs may send, and how long they may be silent."""

    rate: float = Field(default=50, gt=0, le=10_000, description="requests a second of one token, in the long run")
    burst: int = Field(default=500, ge=1, le=100_000)
    body: int = Field(default=64 << 20, ge=1 << 16, le=1 << 30, description="bytes of a body after unpacking")
    cases: int = Field(default=50_000, ge=1, le=1_000_000)
    artifact: int = Field(default=256 << 20, ge=1 << 16, description="bytes of one artifact")
    new_names: int = Field(
        default=20_000, ge=1, description="names that a remote may bring up for the first time a day"
    )
    silence: Duration = timedelta(minutes=30)
    longest: Duration = timedelta(hours=24)


class Checking(Table):
    """Our own checks of this project's series. `check` has a table of options for each, which its rack validates.

    A table with a `folder` adds a script; `folders` are folders of such folders, as NIPA's ``tests``.
    """

    preset: Literal["", "netdev"] = ""
    use: tuple[Context, ...] = Field(default=(), description="which; the preset's and all scripts, if left out")
    leave: tuple[Context, ...] = Field(default=(), description="and which of these not")
    folders: tuple[Path, ...] = ()
    check: dict[Context, dict[str, Any]] = {}

    @cached_property
    def names(self) -> frozenset[str]:
        """The checks that are asked, as far as they are named: who runs them knows the others."""
        ships = self._ships
        scripts = (name for name, options in self.check.items() if "folder" in options)
        usual = (*ships.get("use", ()), *scripts)
        return frozenset(self.use or usual) - {*self.leave, *(() if self.use else ships.get("leave", ()))}

    @property
    def all_named(self) -> bool:
        """Whether no other is asked: neither a script of a folder, nor whatever there is."""
        return bool(self.use or (self._ships.get("use") and not self.folders))

    @cached_property
    def _ships(self) -> dict[str, Any]:
        return preset(f"checks-{self.preset}") if self.preset else {}


class Project(Table):
    post: Literal["off", "shadow", "on"] = "shadow"
    patchwork: Patchwork | None = None
    triage: Triage = Triage()
    trees: dict[Name, Tree]
    streams: dict[Name, Stream] = {}
    series_push: Address = Field(default="", description="where applied series are pushed; default: a stream's push")
    series_public: Address = ""
    checks: tuple[Context, ...] = Field(default=(), description="contexts of labs' checks of series that are posted")
    checking: Checking | None = None
    committer_name: str = "netci"
    committer_email: str = "netci@localhost"

    @model_validator(mode="after")
    def _refer_to_what_is_there(self) -> Self:
        contexts: dict[str, str] = {}
        for name, stream in self.streams.items():
            for key, trees in (("tree", (stream.tree,)), ("merge", stream.merge), ("takes", stream.takes)):
                if unknown := [t for t in trees if t not in self.trees]:
                    raise ValueError(f"streams.{name}.{key}: no tree {', '.join(unknown)} in this project")
            if stream.context in contexts:
                raise ValueError(f"streams.{name}.context: {stream.context!r} is that of {contexts[stream.context]}")
            if stream.context in OWN_CONTEXTS:
                raise ValueError(f"streams.{name}.context: {stream.context!r} is used for the series itself")
            if stream.context in self.own_checks:
                raise ValueError(f"streams.{name}.context: {stream.context!r} is used by one of our own checks")
            contexts[stream.context] = name
        if taken := [c for c in self.checks if c in contexts or c in OWN_CONTEXTS or c in self.own_checks]:
            raise ValueError(f"checks: {', '.join(taken)} is ours; a lab's check needs a context of its own")
        self._check_gates(OWN_CONTEXTS | contexts.keys() | self.own_checks)
        return self

    def _check_gates(self, known: Collection[str]) -> None:
        if self.checking is not None and not self.checking.all_named:
            return
        for name, stream in self.streams.items():
            if unknown := [c for c in stream.gate if c not in known]:
                raise ValueError(f"streams.{name}.gate: nothing produces {', '.join(unknown)}")

    @property
    def own_checks(self) -> frozenset[str]:
        """The contexts in which our own checks speak, as far as the configuration names them."""
        return self.checking.names if self.checking is not None else frozenset()

    @property
    def our_contexts(self) -> frozenset[str]:
        """The contexts that are ours, in which no lab speaks."""
        return OWN_CONTEXTS | self.own_checks | {stream.context for stream in self.streams.values()}

    def takes(self, stream: Stream) -> tuple[str, ...]:
        """The trees whose series join `stream`."""
        return stream.takes or (stream.tree, *stream.merge)


OWN_CONTEXTS = frozenset({"apply", "tree_selection"})


class Remote(Table):
    """A lab. `streams` and `executors` say what is expected of one that is not ours: each of these on each branch.

    `manifest` is where a lab that posts nothing publishes its runs as NIPA's do; it is looked at every `poll`.
    """

    name: Name
    report: bool = False
    streams: tuple[str, ...] = ()
    executors: tuple[Name, ...] = ()
    manifest: Annotated[Address, AfterValidator(web_address)] = ""
    poll: Duration = timedelta(seconds=60)


class CrashIgnore(Table):
    """Crashes of the kernel that fail no test, and why: people will ask."""

    pattern: str = Field(min_length=1, description="a glob on the title, the fingerprint or NIPA's fingerprint")
    reason: str = Field(min_length=1)


class Executor(Table):
    """An executor, ours or a lab's. `suite` and `driver` are validated by the rack that their `kind` names, also at
    start.
    """

    name: Name
    streams: tuple[str, ...]
    suite: dict[str, Any]
    driver: dict[str, Any]
    retries: int = Field(default=1, ge=0, le=5)
    deadline: Duration = timedelta(minutes=170)
    crash_ignore: tuple[CrashIgnore, ...] = ()


class ExecutorTable(Executor):
    """One of ours."""

    remote: Name
    hold: Duration = Field(
        default=timedelta(seconds=15), description="lease of a run: how soon a dead one is taken over"
    )


class HookIn(Table):
    """A call from outside that wakes us: of a project's Patchwork, or where `tree` is named, of that tree's git."""

    project: Name
    tree: Name | Literal[""] = ""
    secret_env: str = ""
    secret_file: Path | None = None

    @property
    def path(self) -> str:
        return f"/hooks/git/{self.project}/{self.tree}" if self.tree else f"/hooks/patchwork/{self.project}"


def _range_of_users(text: str) -> str:
    first, dash, last = text.partition("-")
    if not (dash and first.isdecimal() and last.isdecimal() and 0 < int(first) < int(last) < 1 << 31):
        raise ValueError('a range of user ids like "61000-61063"')
    return text


class Builder(Table):
    """A machine that builds in our place, reached by SSH, with netci and the toolchains on it."""

    host: str = Field(description="user@host:port")
    key_file: Path
    known_hosts: Path
    config: str = Field(default="/etc/netci/netci.toml", description="there, with the same projects")
    command: tuple[str, ...] = Field(default=("netci",), min_length=1, description="what netci is called there")
    folder: str = Field(default="netci-builder", pattern=r"^[A-Za-z0-9._-]+$", description="below the login's home")
    time_limit: Duration = timedelta(hours=6)


class Checks(Table):
    """How checks run on this machine. Sizes are bytes."""

    isolation: Literal["auto", "bare"] = Field(
        default="auto", description="bare: none at all, shown on the status page"
    )
    hands: int = Field(default=0, ge=0, le=256, description="commands at one time; 0: as many as processors")
    builds: int = Field(default=1, ge=0, le=64, description="series that are built at one time")
    memory: int = Field(default=4 << 30, ge=64 << 20, description="of one command")
    processes: int = Field(default=512, ge=8)
    output: int = Field(default=16 << 20, ge=1 << 16)
    disk: int = Field(default=4 << 30, ge=1 << 20, description="that one command may write")
    cache: int = Field(default=40 << 30, ge=1 << 26, description="object folders and compiler cache, all together")
    path: tuple[Path, ...] = Field(default=(), description="folders of more tools, seen read-only in the cage")
    users: Annotated[str, AfterValidator(_range_of_users)] = Field(
        default="61000-61063", description="that are nobody's; as root, each command is one of them"
    )
    builder: Builder | None = None


class Settings(Table):
    data: Path = Path("/var/lib/netci")
    database: Database = Database()
    bus: BusTable = BusTable()
    web: Web = Web()
    ingest: IngestTable = IngestTable()
    outgoing: Outgoing = Outgoing()
    webhooks: Webhooks = Webhooks()
    keep: Keep = Keep()
    disk: Disk = Disk()
    labs: Labs = Labs()
    checks: Checks = Checks()
    projects: dict[Name, Project]
    remotes: tuple[Remote, ...] = ()
    executors: tuple[ExecutorTable, ...] = ()
    hooks: tuple[HookIn, ...] = ()

    @model_validator(mode="after")
    def _refer_to_what_is_there(self) -> Self:
        remotes = [r.name for r in self.remotes]
        if len(set(remotes)) < len(remotes):
            raise ValueError("remotes: a name stands twice")
        if OWN_REMOTE in remotes:
            raise ValueError(f"remotes.{remotes.index(OWN_REMOTE)}.name: {OWN_REMOTE!r} is the name of our own checks")
        streams = {name for project in self.projects.values() for name in project.streams}
        for i, remote in enumerate(self.remotes):
            if unknown := [s for s in remote.streams if s not in streams]:
                raise ValueError(f"remotes.{i}.streams: no stream {', '.join(unknown)}")
        seen: set[tuple[str, str]] = set()
        for i, executor in enumerate(self.executors):
            if executor.remote not in remotes:
                raise ValueError(f"executors.{i}.remote: no remote {executor.remote!r}")
            if unknown := [s for s in executor.streams if s not in streams]:
                raise ValueError(f"executors.{i}.streams: no stream {', '.join(unknown)}")
            if (executor.remote, executor.name) in seen:
                raise ValueError(f"executors.{i}.name: {executor.remote}/{executor.name} stands twice")
            seen.add((executor.remote, executor.name))
        self._check_hooks()
        return self

    def _check_hooks(self) -> None:
        paths: set[str] = set()
        for i, hook in enumerate(self.hooks):
            project = self.projects.get(hook.project)
            if project is None:
                raise ValueError(f"hooks.{i}.project: no project {hook.project!r}")
            if hook.tree and hook.tree not in project.trees:
                raise ValueError(f"hooks.{i}.tree: no tree {hook.tree!r} in {hook.project}")
            if not hook.tree and project.patchwork is None:
                raise ValueError(f"hooks.{i}: {hook.project} has no patchwork to wake; name a tree")
            if not (hook.secret_env or hook.secret_file):
                raise ValueError(f"hooks.{i}: secret_env or secret_file is needed; unsigned calls are never taken")
            if hook.path in paths:
                raise ValueError(f"hooks.{i}: {hook.path} stands twice")
            paths.add(hook.path)

    @property
    def public_url(self) -> str:
        return (self.web.public_url or f"http://{self.web.listen}").rstrip("/")

    def project_of(self, stream: str) -> tuple[str, Project, Stream]:
        """The project that has `stream`. Raises Refused if none has, or more than one."""
        found = [(n, p, p.streams[stream]) for n, p in self.projects.items() if stream in p.streams]
        if len(found) != 1:
            known = ", ".join(sorted(s for p in self.projects.values() for s in p.streams)) or "none"
            raise Refused(f"no stream {stream!r} (there is: {known})")
        return found[0]

    def executors_of(self, stream: str) -> list[ExecutorTable]:
        return [e for e in self.executors if stream in e.streams]

    def expected_on(self, stream: str) -> list[tuple[str, str]]:
        """(remote, executor) of all that should give results on a branch of `stream`, outside labs included."""
        ours = [(e.remote, e.name) for e in self.executors_of(stream)]
        others = [(r.name, name) for r in self.remotes if stream in r.streams for name in r.executors]
        return [*ours, *(pair for pair in others if pair not in ours)]

    def reports(self, remote: str) -> bool:
        """Whether results of `remote` count for verdicts."""
        return remote == OWN_REMOTE or any(r.name == remote and r.report for r in self.remotes)


def parse(text: str, source: str = "netci.toml") -> Settings:
    """Settings from TOML text. Raises Refused, listing each fault with the path of its key."""
    return parse_as(Settings, text, source)


T = TypeVar("T", bound=Table)


def parse_as(model: type[T], text: str, source: str) -> T:
    """The same for a file of another program of ours."""
    try:
        return model.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as exc:
        raise Refused(f"{source}: {exc}") from None
    except ValidationError as exc:
        raise Refused("\n".join(_say(source, error) for error in exc.errors())) from None


def _say(source: str, error: Any) -> str:
    where = ".".join(str(part) for part in error["loc"])
    words = str(error["msg"]).removeprefix("Value error, ")
    if error["type"] == "extra_forbidden":
        words = "there is no such key"
    if error["type"] == "string_pattern_mismatch" and where.endswith("listen"):
        words = f"{error['input']!r} is no address: HOST:PORT, as 127.0.0.1:8080"
    return f"{source}: {where}: {words}" if where else f"{source}: {words}"


def load(path: Path) -> Settings:
    """Settings from a file."""
    return load_as(Settings, path, "config/example.toml")


def load_as(model: type[T], path: Path, example: str) -> T:
    """The same for a file of another program of ours; `example` is one to copy."""
    try:
        return parse_as(model, path.read_text("utf-8"), str(path))
    except OSError as exc:
        raise Refused(f"{path}: {exc.strerror}; copy {example} and edit it") from None
    except UnicodeDecodeError as exc:
        raise Refused(f"{path}: not UTF-8 at byte {exc.start}") from None


def secret(*, env: str = "", file: Path | None = None, what: str) -> str:
    """The secret that `env` or `file` holds, "" where neither is named.

    Raises Refused if it is named and not there, or the file may be read by others than its owner.
    """
    if file is not None:
        try:
            if file.stat().st_mode & 0o077:
                raise Refused(f"{what}: {file} can be read by others; chmod 600 it")
            return file.read_text("utf-8").strip()
        except OSError as exc:
            raise Refused(f"{what}: {file}: {exc.strerror}") from None
    if env:
        if not (value := os.environ.get(env, "")):
            raise Refused(f"{what}: the environment has no {env}")
        return value
    return ""
