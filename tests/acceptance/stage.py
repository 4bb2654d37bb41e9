"""The stage: what an operator prepares, the servers, the outside, and the rooms as compose.yaml has them."""

import shutil
import subprocess
import time
from pathlib import Path

from shared.practice.config import Tables, a_project, toml
from shared.practice.kernel import import_kernel
from tests.acceptance import box
from tests.acceptance.box import Box
from tests.acceptance.composed import NAMES, Composed, build, healthy
from tests.acceptance.world import Outside, key_pair, listens, wait
from tests.house.files import ROOMS, ROOT
from tests.support.postgres import Postgres
from tests.support.rabbitmq import RabbitMQ

_TESTS = (
    "reuseport_bpf", "reuseport_bpf_cpu", "reuseport_dualstack", "reuseaddr_conflict", "sk_bind_sendto_listen",
    "sk_connect_zero_addr", "run_netsocktests", "reuseport_addr_any.sh", "udpgso.sh", "netdevice.sh",
)  # fmt: skip
_PROGRAMS = " ".join(name for name in _TESTS if "." not in name and not name.startswith("run_"))
_CHECKOUT = ("tools/testing/selftests", "tools/include", "tools/scripts", "tools/build", "scripts")

_PUSHED = {
    "push": "git@forge:testing.git",
    "push_key_file": "/run/secrets/push_key",
    "push_known_hosts": "/etc/netci/known_hosts",
    "public": "git://forge/testing.git",
    "expect": "10m",
}
_SUITE = {
    "kind": "kselftest",
    "targets": ["net"],
    "tests": list(_TESTS),
    "checkout": list(_CHECKOUT),
    "make_vars": {
        "TEST_GEN_PROGS": f"$(addprefix $(OUTPUT)/,{_PROGRAMS})",
        "TEST_GEN_FILES": "$(addprefix $(OUTPUT)/,socket udpgso reuseport_addr_any)",
    },
}
_DRIVER = {
    "kind": "ssh",
    "hosts": ["root@alpha", "root@beta"],
    "key_file": "/run/secrets/host_key",
    "known_hosts": "/etc/netci/known_hosts",
}


def project() -> Tables:
    """What an operator writes below the mark of config/compose.toml."""
    trees = {name: {"git": f"git://forge/{name}.git"} for name in ("net-next", "net")}
    tables = a_project(patchwork="http://patchwork", trees=trees, stream=_PUSHED)
    tables["projects"]["netdev"]["patchwork"]["token_file"] = "/run/secrets/patchwork_token"
    # Asks git alone: in these boxes no cage can be made, as the kernel makes no user namespace below a plain chroot.
    tables["projects"]["netdev"]["checking"] = {"use": ["verify_fixes"]}
    tables["remotes"] = [{"name": "lab", "report": True}]
    executor = {"remote": "lab", "name": "selftests-net", "streams": ["net-next"], "deadline": "15m"}
    tables["executors"] = [{**executor, "suite": _SUITE, "driver": _DRIVER}]
    return tables


class Stage:
    """Everything that was started, and where it is."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.began = time.monotonic()
        self.rooms: dict[str, Box] = {}
        self.project = folder / "project"
        self.composed = Composed(self.project)

    def say(self, text: str) -> None:
        print(f"{time.monotonic() - self.began:6.1f}s  {text}", flush=True)

    # Setting up

    def prepare(self) -> None:
        """What an operator does: `config/prepare`, keys, the configuration."""
        shutil.copytree(
            ROOT / "config", self.project / "config", ignore=shutil.ignore_patterns("netci.toml", "known_hosts")
        )
        subprocess.run(["sh", "config/prepare"], cwd=self.project, check=True, stdout=subprocess.DEVNULL)
        build(self.folder)
        self.public = {name: self._fill(name) for name in ("push_key", "host_key")}
        shipped = (ROOT / "config/compose.toml").read_text()
        ours, mark, _ = shipped.partition("# ---- yours from here on")
        assert mark, "config/compose.toml has lost its mark"
        (self.project / "config/netci.toml").write_text(ours + toml(project()))

    def _fill(self, name: str) -> str:
        public = key_pair(self.folder / name)
        self._secret(name, (self.folder / name).read_text())
        return public

    def _secret(self, name: str, text: str) -> None:
        (self.project / "secrets" / name).write_text(text)

    def network(self) -> None:
        """Our loopback has the addresses of compose.yaml's front network."""
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        for address in sorted(set(NAMES.values())):
            if address.startswith("172."):
                subprocess.run(["ip", "addr", "add", f"{address}/24", "dev", "lo"], check=True)

    def servers(self) -> None:
        """PostgreSQL, initialised by the shipped script, and RabbitMQ with the shipped login."""
        (self.folder / "rabbit").mkdir()
        (self.folder / "postgres").mkdir()
        self.broker = RabbitMQ(folder=self.folder / "rabbit", port=5672)
        shutil.copy(self.project / "secrets/broker_login", self.folder / "rabbit/rabbitmq.conf")
        self.broker.start()
        self.database = Postgres(folder=self.folder / "postgres", port=5432)
        self.database.start()
        self.database.wait()
        roles = {"NETCI_ROLES_FILE": str(self.project / "secrets/database_roles")}
        subprocess.run(
            ["sh", "config/postgres/10-netci.sh"], cwd=self.project, env=self.database.environment() | roles, check=True
        )
        self.broker.wait()

    def outside(self) -> None:
        self.out = Outside(self.folder, import_kernel())
        self.out.start(self.public["push_key"], self.public["host_key"])
        self._secret("patchwork_token", self.out.token + "\n")
        (self.project / "config/known_hosts").write_text("\n".join(self.out.known_hosts) + "\n")

    def command(self, *words: str, timeout: float = 400) -> str:
        """A command of the operator, as compose.yaml has it: in the container of `migrate`."""
        code, said = box.run(self.composed.plan("migrate", ["netci", *words]), self.folder, timeout)
        assert code == 0, f"netci {' '.join(words)} ended with {code}:\n{said}"
        return said

    def start_rooms(self) -> None:
        code, said = box.run(self.composed.plan("migrate"), self.folder)
        assert code == 0, f"migrate ended with {code}:\n{said}"
        for name in (*ROOMS, "proxy"):
            self.rooms[name] = box.start(self.composed.plan(name), self.folder)
        for name in ROOMS:
            self._until_healthy(name)
        wait("the proxy", lambda: listens(NAMES["proxy"], 8000), 20)

    def _until_healthy(self, name: str, seconds: float = 60) -> None:
        until = time.monotonic() + seconds
        while True:
            ended = self.rooms[name].process.poll()
            assert ended is None, f"{name} ended with {ended}:\n{self.rooms[name].said()}"
            ok, said = healthy(self.rooms[name])
            if ok:
                return
            assert time.monotonic() < until, f"{name} is not healthy: {said}\n{self.rooms[name].said()}"
            time.sleep(0.5)

    def close(self) -> None:
        """In order, so that nothing has to wait for anything; what is left ends with the namespace."""
        for one in self.rooms.values():
            if one.process.poll() is None:
                one.process.kill()
                one.process.wait()
        for server in ("database", "broker"):
            if hasattr(self, server):
                getattr(self, server).close()
