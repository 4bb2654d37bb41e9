"""What a command sees: from a cage and a machine to the command line of bubblewrap. Decides, does nothing.

The order of the words matters. What needs root's rights comes first and is ours alone; then rights are dropped; only
then comes the environment, and after it the command: a variable as LD_PRELOAD must never reach a program of ours.
"""

import posixpath
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

from services.executor.cage.base import Bind, Cage, Layer, Limits
from services.executor.cage.machine import Machine
from services.executor.cage.warden.order import DROP, OWN, STAGE, Order, layer_at, writable_at
from shared.errors import InfraError

HOME = "/home/check"
_STANDARD = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"
_ETC = {
    "passwd": f"root:x:0:0:root:/:/usr/sbin/nologin\ncheck:x:{{uid}}:{{gid}}:check:{HOME}:/bin/sh\n",
    "group": "root:x:0:\ncheck:x:{gid}:\n",
    "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
    "hosts": "127.0.0.1 localhost\n::1 localhost\n",
    # The tree is not the command's own on disk, which git takes for a trap.
    "gitconfig": "[safe]\n\tdirectory = *\n",
}
_SCRATCH = {"tmp": "/tmp", "vartmp": "/var/tmp", "home": HOME, "shm": "/dev/shm"}


def search_path(more: Sequence[Path] = ()) -> str:
    """PATH inside: the folders of more tools first."""
    return ":".join([*map(str, more), _STANDARD])


def environment(cage: Cage, more: Sequence[Path], home: str = HOME, tmp: str = "/tmp") -> dict[str, str]:
    """All of it."""
    return {"PATH": search_path(more), "HOME": home, "TMPDIR": tmp, "LANG": "C.UTF-8", **cage.env}


def order_for(
    cage: Cage, argv: tuple[str, ...], machine: Machine, folder: Path, fds: tuple[int, ...] = ()
) -> Order:  # fmt: skip
    """What a warden is told to run `argv` in `cage`, with `folder` as its own. Raises InfraError for what can't be."""
    stage = str(folder / STAGE)
    layers = [bind for bind in cage.binds if isinstance(bind, Layer)]
    writable = [bind for bind in cage.binds if isinstance(bind, Bind) and bind.writable]
    shown = _shown_at(cage.binds, stage)
    ours = [
        machine.bwrap, *_namespaces(machine), *_root(machine, stage),
        *_folders_for([bind.target for bind in cage.binds]),
        *(word for bind, at in zip(cage.binds, shown, strict=True) for word in _bound(bind, at)),
        "--remount-ro", "/dev", "--remount-ro", "/",
    ]  # fmt: skip
    inner = ["--", *limited(machine, cage.limits), *_dropped(machine)]
    return Order(
        mode=machine.mode,
        folder=str(folder),
        argv=(*ours, *inner, *command(machine, argv, environment(cage, machine.path), cage.cwd)),
        outer=len(ours),
        ours=len(ours) + len(inner),
        env={"PATH": _STANDARD, "LANG": "C"},
        seconds=cage.limits.seconds,
        memory=cage.limits.memory,
        processes=cage.limits.processes,
        disk=cage.limits.disk,
        etc=_ETC,
        layers=tuple((str(layer.lower), str(layer.upper or folder / f"upper{n}")) for n, layer in enumerate(layers)),
        writable=tuple(str(bind.source) for bind in writable),
        nested=tuple(_nested(cage.binds, shown)),
        fds=fds,
        seccomp=machine.seccomp,
        groups=machine.parents.folders,
        unified=machine.parents.version == 2,
        users=machine.users,
        lock_folder=machine.locks,
    )


def _shown_at(binds: Sequence[Bind | Layer], stage: str) -> list[str]:
    """Where each bind is to be had from: its source, or what is mounted for it in the stage."""
    layers = writable = 0
    found = []
    for bind in binds:
        if isinstance(bind, Layer):
            found.append(f"{stage}/{layer_at(layers)}")
            layers += 1
        elif bind.writable:
            found.append(f"{stage}/{writable_at(writable)}")
            writable += 1
        else:
            found.append(str(bind.source))
    return found


def _bound(bind: Bind | Layer, at: str) -> tuple[str, str, str]:
    if not posixpath.isabs(bind.target) or posixpath.normpath(bind.target) != bind.target:
        raise InfraError(f"{bind.target!r} is no place in a cage")
    return "--bind" if isinstance(bind, Layer) or bind.writable else "--ro-bind", at, bind.target


def _nested(binds: Sequence[Bind | Layer], shown: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Binds into what an earlier one shows: that folder, and the path in it."""
    for number, bind in enumerate(binds):
        for earlier in range(number):
            inside = bind.target.removeprefix(f"{binds[earlier].target}/")
            if inside != bind.target:
                yield shown[earlier], inside


def _folders_for(targets: Sequence[str]) -> Iterator[str]:
    """The folders above places that are in nothing else: left to itself, bubblewrap has them closed to all but root."""
    made: list[str] = []
    for number, target in enumerate(targets):
        if any(target.startswith(f"{earlier}/") for earlier in targets[:number]):
            continue
        above = [str(folder) for folder in reversed(PurePosixPath(target).parents) if str(folder) != "/"]
        for folder in above:
            if folder not in made:
                made.append(folder)
                yield from ("--perms", "0755", "--dir", folder)


def _namespaces(machine: Machine) -> list[str]:
    words = [
        "--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try",
        "--die-with-parent", "--new-session", "--hostname", "cage", "--cap-drop", "ALL",
    ]  # fmt: skip
    if machine.mode == DROP:
        return [*words, *(word for cap in ("SETUID", "SETGID", "SETPCAP") for word in ("--cap-add", f"CAP_{cap}"))]
    return [*words, "--unshare-user", "--disable-userns", "--uid", str(machine.uid), "--gid", str(machine.gid)]


def _root(machine: Machine, stage: str) -> Iterator[str]:
    """The folders that every cage has."""
    for folder in machine.folders:
        yield from ("--ro-bind", folder, folder)
    for link, target in machine.links.items():
        yield from ("--symlink", target, link)
    yield from _folders_for(("/etc/ssl/x", "/var/tmp", HOME))
    for path in machine.etc:
        yield from ("--ro-bind", path, path)
    for name in _ETC:
        yield from ("--ro-bind", f"{stage}/etc/{name}", f"/etc/{name}")
    yield from ("--proc", "/proc", "--dev", "/dev")
    for name, target in _SCRATCH.items():
        yield from ("--bind", f"{stage}/{name}", target)
    yield from _folders_for(machine.tools)
    for path in machine.tools:
        yield from ("--ro-bind", path, path)


def limited(machine: Machine, limits: Limits) -> list[str]:
    """Limits of single processes; of all together where there is no cgroup for that."""
    words = [machine.prlimit, "--core=0", f"--fsize={limits.disk}"]
    if "memory" not in machine.parents:
        words.append(f"--as={limits.memory}")
    if "pids" not in machine.parents and machine.mode in (DROP, OWN):
        words.append(f"--nproc={limits.processes}")
    return words


def _dropped(machine: Machine) -> list[str]:
    if machine.mode == OWN:
        return []
    return [
        machine.setpriv, "--reuid={uid}", "--regid={gid}", "--clear-groups", "--no-new-privs",
        "--bounding-set=-all", "--inh-caps=-all",
    ]  # fmt: skip


def command(machine: Machine, argv: tuple[str, ...], env: Mapping[str, str], cwd: str) -> list[str]:
    """The command with its environment and working folder."""
    if not argv or "=" in argv[0] or argv[0].startswith("-"):
        raise InfraError(f"{argv[:1]} is no command")
    return [machine.env, "-i", f"--chdir={cwd}", *(f"{name}={value}" for name, value in env.items()), *argv]
