"""packetdrill: every script below a folder, over IPv4, IPv6 and IPv4 in IPv6, each in a network of its own.

Answers for the layout that packetdrill's own scripts and the kernel's share: files end in ``.pkt``, name their
helpers relative to themselves, and those whose name ends in ``v4.pkt`` or ``v6.pkt`` are for that one alone.
"""

import fnmatch
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import PurePosixPath
from typing import ClassVar, Literal

from pydantic import BaseModel, Field, field_validator

from services.executor.drivers.base import MIB, Command, shell
from services.executor.suites.base import Invocation, Place, Spoken, Step, Table, inside
from shared.formats import ktap
from shared.formats.clean import cut, plain
from shared.formats.ktap_report import unique
from shared.formats.selftests import dashed
from shared.model.results import Case
from shared.settings import Duration

GROUP = "packetdrill"
MOST_TESTS = 5000

Variant = Literal["ipv4", "ipv6", "ipv4-mapped-ipv6"]

_V4 = ("--local_ip=192.168.0.1", "--gateway_ip=192.168.0.1", "--netmask_ip=255.255.0.0", "--remote_ip=192.0.2.1")
_V6 = ("--mtu=1520", "--local_ip=fd3d:0a0b:17d6::1", "--gateway_ip=fd3d:0a0b:17d6:8888::1",
       "--remote_ip=fd3d:fa7b:d17d::1")  # fmt: skip
_SEEN_AS = {
    "IP": ("-D", "CMSG_LEVEL_IP=SOL_IP", "-D", "CMSG_TYPE_RECVERR=IP_RECVERR"),
    "IPV6": ("-D", "CMSG_LEVEL_IP=SOL_IPV6", "-D", "CMSG_TYPE_RECVERR=IPV6_RECVERR"),
}
ARGUMENTS: Mapping[Variant, tuple[str, ...]] = {
    "ipv4": ("--ip_version=ipv4", *_V4, *_SEEN_AS["IP"]),
    "ipv6": ("--ip_version=ipv6", *_V6, *_SEEN_AS["IPV6"]),
    "ipv4-mapped-ipv6": ("--ip_version=ipv4-mapped-ipv6", *_V4, *_SEEN_AS["IPV6"]),
}
"""What the kernel's runner and packetdrill's own give: addresses, and the words scripts use for either family."""

SLOW = "--tolerance_usecs=14000"
"""What the kernel's runner allows on a slow machine, where packetdrill's own 4 ms are too strict."""


class PacketdrillConfig(Table):
    """``suite = { kind = "packetdrill" }``

    `folder` is in the branch's tree, or absolute and on the host; `build` is a command run in the tree first. `program`
    is packetdrill as the host calls it and `arguments` go to it besides; `wrap` gives each script its network. `tests`
    and `skip` are globs on the path below `folder`. `slow` allows more for scripts' times, and longer limits.
    """

    kind: Literal["packetdrill"] = "packetdrill"
    folder: PurePosixPath = PurePosixPath("tools/testing/selftests/net/packetdrill")
    checkout: tuple[str, ...] = ()
    build: str = ""
    build_limit: Duration = timedelta(minutes=30)
    program: str = "packetdrill"
    wrap: tuple[str, ...] = ("unshare", "-n")
    arguments: tuple[str, ...] = ()
    variants: tuple[Variant, ...] = Field(default=("ipv4", "ipv6"), min_length=1)
    tests: tuple[str, ...] = ("*",)
    skip: tuple[str, ...] = ()
    time_limit: Duration = timedelta(seconds=45)
    slow: float = Field(default=1.0, ge=1.0, le=100.0)
    env: Mapping[str, str] = Field(default_factory=dict)

    @field_validator("folder")
    @classmethod
    def _somewhere(cls, folder: PurePosixPath) -> PurePosixPath:
        if not folder.is_absolute() and not inside(str(folder)):
            raise ValueError(f"{str(folder)!r} is neither a path inside the tree nor an absolute one on the host")
        return folder

    @field_validator("checkout")
    @classmethod
    def _inside(cls, paths: tuple[str, ...]) -> tuple[str, ...]:
        if wrong := [path for path in paths if not inside(path)]:
            raise ValueError(f"{wrong[0]!r} is not a path inside the tree")
        return paths


_TOOLS = """
for tool; do command -v "$tool" >/dev/null || { echo "$tool is not installed" >&2; exit 1; }; done
"""

# A script that has gone since the listing is no failure of the protocol, and yet no pass.
_RUN = """
[ -f "$1" ] || { echo "netci: $1 is not there"; exit 127; }
script=$1
shift
exec "$@" "$script"
"""


class Packetdrill:
    """See `base.Suite`."""

    name: ClassVar[str] = "packetdrill"
    Config: ClassVar[type[BaseModel]] = PacketdrillConfig

    def __init__(self, config: PacketdrillConfig) -> None:
        self._config = config

    def paths(self) -> tuple[str, ...] | None:
        if self._config.folder.is_absolute() and not self._config.build:
            return None
        return self._config.checkout

    def groups(self) -> tuple[str, ...]:
        return (GROUP,)

    def prepare(self, place: Place) -> tuple[Step, ...]:
        config = self._config
        here = place.work if self.paths() is None else place.tree
        steps = []
        if config.build:
            command = shell(config.build, env=config.env, cwd=here, merge=True)
            steps.append(Step("build", command, config.build_limit))
        tools = shell(_TOOLS, *config.wrap[:1], config.program, env=config.env, cwd=here)
        return (*steps, Step("tools", Command(("true",)), timedelta(minutes=1), tools))

    def listing(self, place: Place) -> Command | None:
        text = 'cd "$1" && find . -name "*.pkt" -type f | LC_ALL=C sort'
        return shell(text, str(self._root(place)), cap=MIB)

    def _root(self, place: Place) -> PurePosixPath:
        return place.tree / self._config.folder

    def invocations(self, listing: str, place: Place) -> tuple[Invocation, ...]:
        seen: dict[str, int] = {}
        limit = self._config.time_limit * self._config.slow
        found = []
        for path in dict.fromkeys(self._scripts(listing)):
            for variant in self._variants(path):
                name = unique(f"{dashed(path.removesuffix('.pkt'))}-{variant}", seen)
                command = self._command(path, variant, place)
                found.append(Invocation(GROUP, name, command, limit, f"{path} {variant}"))
        return tuple(found[:MOST_TESTS])

    def _scripts(self, listing: str) -> Iterator[str]:
        for line in listing.splitlines():
            path = line.removeprefix("./")
            taken = _any(self._config.tests, path) and not _any(self._config.skip, path)
            if path.endswith(".pkt") and inside(path) and taken:
                yield path

    def _variants(self, path: str) -> Iterator[Variant]:
        for variant in dict.fromkeys(self._config.variants):
            of_v6 = variant == "ipv6"
            if not path.endswith("v4.pkt" if of_v6 else "v6.pkt"):
                yield variant

    def _command(self, path: str, variant: Variant, place: Place) -> Command:
        config = self._config
        script = PurePosixPath(path)
        slow = (SLOW,) if config.slow > 1 else ()
        argv = (*config.wrap, config.program, *ARGUMENTS[variant], *slow, *config.arguments)
        told = {"KSFT_MACHINE_SLOW": "yes"} if config.slow > 1 else {}
        return shell(
            _RUN, f"./{script.name}", *argv,
            env=told | dict(config.env), cwd=self._root(place) / script.parent, merge=True,
        )  # fmt: skip

    def read(self, invocation: Invocation, spoken: Spoken) -> tuple[Case, ...]:
        """The exit code is packetdrill's word, and the last thing it said is the reason."""
        said = spoken.stdout.decode(errors="replace")
        first, *_ = ktap.to_cases(
            "", group=invocation.group, test=invocation.test, exit_code=spoken.exit_code,
            timed_out=spoken.timed_out, seconds=spoken.seconds, attempt=spoken.attempt, log=spoken.log,
        )  # fmt: skip
        return (with_reason(first, said),)


def with_reason(case: Case, said: str) -> Case:
    """The case with the last line of `said` that is not empty, if it is bad."""
    last = next((line for line in reversed(said[-4000:].splitlines()) if line.strip()), "")
    if not case.result.bad or not last:
        return case
    return replace(case, detail=cut(f"{case.detail}: {plain(last.strip())}", 500))


def _any(globs: tuple[str, ...], path: str) -> bool:
    return any(fnmatch.fnmatchcase(path, glob) for glob in globs)
