"""What a patch could try, each contained and told as what it is; and the next command's outcome is what it was."""

import asyncio
import os
import signal
import socket
import stat
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from services.executor.cage.base import MIB, Bind, Cage, Layer, Ran
from services.executor.cage.bubblewrap import Bubblewrap
from services.executor.cage.cgroups import Parents, sweep
from services.executor.cage.folders import remove
from services.executor.cage.taken import take
from services.executor.cage.warden.watch import below
from shared.errors import InfraError
from tests.services.executor.cage.boxes import LIMITS, a_cage, a_tree, contents, groups, python, running, sh

pytestmark = pytest.mark.timeout(180)
TOKEN = "tok-6f2a91"


def _plain(ran: Ran) -> tuple[object, ...]:
    return ran.code, ran.ended, ran.stdout, ran.stderr


@pytest.fixture
async def victim(caged: Bubblewrap, place: Path) -> AsyncIterator[Bubblewrap]:
    """An isolation whose next command does what it did before, whatever happened in between; nothing is left over."""
    cage = a_cage(Layer(a_tree(place), "/src"), cwd="/src")
    script = "make; ls -A /tmp $HOME /dev/shm /var/tmp; wc -c < scripts/checkpatch.pl; echo x > y && cat y; ls"
    before, tree = await sh(caged, script, cage), contents(place / "tree")
    assert before.ok
    yield caged
    assert _plain(await sh(caged, script, cage)) == _plain(before)
    assert contents(place / "tree") == tree
    assert groups(caged) == []


@contextmanager
def listening(kind: socket.SocketKind, family: int, address: str | tuple[str, int]) -> Iterator[socket.socket]:
    with socket.socket(family, kind) as server:
        server.bind(address)
        server.setblocking(False)
        if kind is socket.SOCK_STREAM:
            server.listen()
        yield server


def _got_nothing(server: socket.socket) -> bool:
    try:
        server.accept() if server.type is socket.SOCK_STREAM else server.recv(10)
    except BlockingIOError:
        return True
    return False


async def test_it_opens_a_socket_to_the_machine(victim: Bubblewrap) -> None:
    with listening(socket.SOCK_STREAM, socket.AF_INET, ("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        ran = await python(victim, f"import socket; socket.create_connection(('127.0.0.1', {port}), 5)")
        assert b"Connection refused" in ran.stderr
        assert _got_nothing(server)


async def test_it_sends_a_datagram(victim: Bubblewrap) -> None:
    with listening(socket.SOCK_DGRAM, socket.AF_INET, ("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        script = f"import socket; s = socket.socket(type=socket.SOCK_DGRAM); s.sendto(b'x', ('127.0.0.1', {port}))"
        await python(victim, script)
        assert _got_nothing(server)
    ran = await python(victim, script.replace("127.0.0.1", "192.0.2.1"))
    assert b"Network is unreachable" in ran.stderr


async def test_it_speaks_to_an_abstract_socket_of_the_machine(victim: Bubblewrap) -> None:
    name = f"\0netci-{os.getpid()}"
    with listening(socket.SOCK_STREAM, socket.AF_UNIX, name) as server:
        ran = await python(victim, f"import socket; socket.socket(socket.AF_UNIX).connect({name!r})")
        assert b"Connection refused" in ran.stderr
        assert _got_nothing(server)


async def test_it_asks_for_names(victim: Bubblewrap) -> None:
    ran = await python(
        victim, "import socket; print(socket.gethostbyname('localhost')); socket.gethostbyname('kernel.org')"
    )
    assert ran.stdout == b"127.0.0.1\n"
    assert b"gaierror" in ran.stderr


async def test_it_reads_a_token_from_a_file(victim: Bubblewrap, place: Path) -> None:
    secret = place / "token"
    secret.write_text(TOKEN)
    secret.chmod(0o600)
    script = f"cat {secret} /proc/*/root{secret} /proc/1/root/../..{secret}; find / -name token 2>/dev/null; true"
    assert (await sh(victim, script)).stdout == b""
    ran = await sh(victim, "cat /etc/shadow ~root/.ssh/id_ed25519; ls /root /var/lib /run /work /mnt /srv /opt")
    assert ran.stdout == b""
    assert ran.stderr.count(b"No such file or directory") == 9


async def test_what_is_its_owners_alone_stays_so_even_where_it_is_shown(victim: Bubblewrap, place: Path) -> None:
    secret = place / "token"
    secret.write_text(TOKEN)
    secret.chmod(0o600)
    ran = await sh(victim, "ls /in; cat /in/token", Cage((Bind(place, "/in"),), limits=LIMITS))
    # Where we are an ordinary user, so is the command: the same one. Nothing is shown that isn't meant to be read.
    assert (TOKEN.encode() in ran.merged) == (os.geteuid() != 0)
    assert (b"Permission denied" in ran.stderr) == (os.geteuid() == 0)


async def test_it_reads_a_token_from_the_environment(victim: Bubblewrap, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NETCI_PATCHWORK_TOKEN", TOKEN)
    ran = await sh(victim, "env; cat /proc/*/environ /proc/self/task/*/environ /proc/*/cmdline | tr '\\0' '\\n'")
    assert TOKEN.encode() not in ran.merged
    assert b"LANG=C" in ran.stdout


async def test_what_the_machine_shows_is_what_it_must(victim: Bubblewrap) -> None:
    ran = await sh(victim, "ls -A /; ls -A /home /var; ls /dev | tr '\\n' ' '")
    usual = {"bin", "sbin", "lib", "lib32", "lib64", "libx32", "usr", "etc", "dev", "proc", "tmp", "home", "var"}
    words = set(ran.stdout.decode().split())
    devices = {"core", "fd", "full", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin", "stdout", "tty",
               "urandom", "zero"}  # fmt: skip
    assert words <= usual | devices | {"/home:", "/var:", "check"}


async def test_it_forks_without_end(victim: Bubblewrap) -> None:
    ran = await sh(victim, "f() { f | f & }; f & exec sleep 86394")
    counted = victim.machine.parents != Parents()
    # Without cgroups, a bomb that burns out before it is counted leaves a sleeper that its time ends.
    assert ran.ended == "processes" or (ran.ended == "time" and not counted)
    assert running("86394") == []


async def test_it_fills_the_disk_under_a_name(victim: Bubblewrap, place: Path) -> None:
    before = os.statvfs(place).f_bavail
    cage = a_cage(Layer(place / "tree", "/src"), cwd="/src")
    ran = await sh(victim, "while :; do head -c 8M /dev/zero > $(mktemp ./XXXXXX); sleep 0.05; done", cage)
    assert ran.ended == "disk"
    assert before - os.statvfs(place).f_bavail < 4096 * MIB // os.statvfs(place).f_frsize


async def test_it_fills_the_disk_without_a_name(victim: Bubblewrap, place: Path) -> None:
    script = """
import os, time
held = []
while True:
    held.append(os.open("big", os.O_CREAT | os.O_WRONLY)); os.unlink("big")
    os.write(held[-1], bytes(4 << 20)); time.sleep(0.1)
"""
    ran = await python(victim, script, a_cage(Layer(place / "tree", "/src"), cwd="/src"))
    assert ran.ended == "disk"


async def test_it_fills_its_memory_file_system(victim: Bubblewrap) -> None:
    for where in ("/tmp", "/dev/shm", "/var/tmp", "$HOME"):
        ran = await sh(victim, f"cat /dev/zero > {where}/x; sleep 86393")
        assert ran.ended == "disk"


async def test_it_makes_names_without_end(victim: Bubblewrap) -> None:
    script = "import os\nfor i in range(10**9): os.mkdir(f'/tmp/{i}')"
    ran = await python(victim, script)
    assert ran.ended in ("disk", "memory")


async def test_it_writes_outside(victim: Bubblewrap, place: Path) -> None:
    (place / "host").write_text("as it was")
    (place / "host").chmod(0o666)
    cage = Cage((Bind(place / "tree", "/src"), Bind(place / "host", "/in/host")), limits=LIMITS)
    places = (
        f"/x /usr/x /usr/bin/x /etc/x /dev/x /proc/sys/kernel/core_pattern /in/host /src/x /var/x /home/x {place}/x"
    )
    ran = await sh(victim, f"for p in {places}; do echo bad > $p; done; chmod 777 /usr/bin /src /; mkdir /y", cage)
    assert ran.stderr.count(b"sh: 1: cannot create ") == len(places.split())
    assert (place / "host").read_text() == "as it was"
    assert not (place / "x").exists()


async def test_it_leaves_a_daemon_that_holds_the_stream(victim: Bubblewrap) -> None:
    script = """
import os, signal, time
for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT): signal.signal(number, signal.SIG_IGN)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.execvp("sleep", ["sleep", "86392"])
    os._exit(0)
print("done", flush=True); os._exit(0)
"""
    ran = await python(victim, script)
    assert (ran.stdout, ran.ended, ran.code) == (b"done\n", "exit", 0)
    assert running("86392") == []


async def test_it_prints_a_gigabyte(victim: Bubblewrap) -> None:
    for text in ("head -c 1G /dev/zero", "head -c 1G /dev/zero >&2", "yes >&2 & yes"):
        ran = await sh(victim, text)
        assert (ran.ended, ran.said) == ("output", "printed more than it may")
        assert max(len(ran.stdout), len(ran.stderr)) == LIMITS.output


async def test_it_sleeps_for_ever(victim: Bubblewrap) -> None:
    script = "trap '' TERM HUP INT; kill -STOP 0; sleep 86391"
    ran = await sh(victim, script, a_cage(limits=LIMITS.lasting(1)))
    assert ran.ended == "time"
    assert running("86391") == []


async def test_it_plants_things_in_its_results(victim: Bubblewrap, place: Path) -> None:
    results = place / "results"
    results.mkdir()
    script = r"""
import os, socket
os.chdir("/results")
open("good.txt", "w").write("good")
os.symlink("/etc/passwd", "link"); os.symlink("/", "folder-link"); os.mkfifo("fifo")
socket.socket(socket.AF_UNIX).bind("socket")
open("sparse", "w").truncate(1 << 24)
os.makedirs("a/b"); open("a/b/deep", "w").write("deep")
open("bell\a\n\x1b[2J", "w").write("x")
os.chdir("/results"); open("shut", "w").write("x"); os.chmod("shut", 0)
try: os.mknod("device", 0o600 | 0o020000, os.makedev(1, 3))
except OSError as exc: print(exc.strerror)
"""
    ran = await python(victim, script, Cage((Bind(results, "/results", writable=True),), limits=LIMITS))
    assert (ran.code, ran.stdout) == (0, b"Operation not permitted\n")
    taken = take(results)
    assert taken.pop("shut", b"x") == b"x"
    assert taken == {"good.txt": b"good", "a/b/deep": b"deep", "bell___[2J".replace("[", "_"): b"x"}
    said = {line.partition(":")[0]: line for line in taken.left}
    assert {"link", "folder-link", "fifo", "socket", "sparse"} <= said.keys()
    assert said["link"] == "link: not a plain file"


async def test_it_leaves_a_set_uid_program(victim: Bubblewrap, place: Path) -> None:
    results, upper = place / "results", place / "upper"
    results.mkdir()
    binds = (Layer(place / "tree", "/src", upper), Bind(results, "/results", writable=True))
    script = "for d in /src /results /tmp; do cp /usr/bin/id $d/id; chmod 6755 $d/id; $d/id -u; done; id -u"
    ran = await sh(victim, script, Cage(binds, limits=LIMITS))
    assert len(set(ran.stdout.split())) == 1
    for program in (results / "id", upper / "data" / "id"):
        held = program.stat()
        assert not held.st_mode & stat.S_ISUID or held.st_uid != 0
        assert held.st_uid == (61000 if os.geteuid() == 0 else os.geteuid())


async def test_it_becomes_another_user(victim: Bubblewrap) -> None:
    script = """
import os
for what in ((os.setuid, 0), (os.setgid, 0), (os.setgroups, [0]), (os.chroot, "/tmp"), (os.nice, -5)):
    try: print(what[0].__name__, what[0](what[1]))
    except OSError as exc: print(exc.strerror)
print(open("/proc/self/status").read())
"""
    ran = await python(victim, script)
    assert ran.stdout.startswith(b"Operation not permitted\n" * 5) or b"setuid" not in ran.stdout
    for line in (b"CapEff:\t0000000000000000", b"CapPrm:\t0000000000000000", b"CapBnd:\t0000000000000000",
                 b"NoNewPrivs:\t1", b"Seccomp:\t2"):  # fmt: skip
        assert line in ran.stdout


async def test_it_wants_namespaces_mounts_and_keys(victim: Bubblewrap) -> None:
    script = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
calls = {"unshare user": (272, 0x10000000), "unshare mount": (272, 0x20000), "clone user": (56, 0x10000011, 0, 0, 0, 0),
         "clone3": (435, 0, 0), "mount": (165, b"none", b"/tmp", b"tmpfs", 0, 0), "umount": (166, b"/proc", 2),
         "pivot_root": (155, b"/tmp", b"/tmp"), "keyctl": (250, 0, -3, 0), "add_key": (248, b"user", b"x", b"x", 1, -3),
         "bpf": (321, 0, 0, 0), "perf": (298, 0, 0, -1, -1, 0), "userfaultfd": (323, 0), "io_uring": (425, 1, 0),
         "open_tree": (428, -100, b"/", 1), "fsopen": (430, b"tmpfs", 0), "x32": (0x40000000 | 39,),
         "module": (175, 0, 0, b"")}
for name, call in calls.items():
    result = libc.syscall(*call)
    if result == 0 and name.startswith("clone "): os._exit(9)
    print(name, "done" if result >= 0 else ctypes.get_errno())
"""
    ran = await python(victim, script)
    said = dict(line.rsplit(None, 1) for line in ran.stdout.decode().splitlines())
    assert len(said) == 17
    assert set(said.values()) <= {"1", "38"}
    assert said["clone3"] == said["x32"] == "38"
    for tool in ("unshare -U true", "unshare -Ur id", "unshare -m true", "mount -t tmpfs x /tmp", "chroot /tmp true"):
        assert not (await sh(victim, tool)).ok


async def test_it_sees_signals_and_traces_nobody_outside(victim: Bubblewrap) -> None:
    sleeper = await asyncio.create_subprocess_exec("sleep", "86390")
    try:
        script = f"kill -9 {sleeper.pid} {os.getpid()} -1; ls -d /proc/[0-9]* | wc -l; exec sleep 0"
        assert int((await sh(victim, f"ls -d /proc/[0-9]* | wc -l; test -d /proc/{sleeper.pid}")).stdout) < 8
        await sh(victim, script)
        ran = await python(
            victim,
            "import ctypes; libc = ctypes.CDLL(None, use_errno=True)\n"
            f"print([libc.ptrace(16, pid, 0, 0) for pid in (1, {sleeper.pid})])",
        )
        assert ran.stdout.startswith(b"[-1, -1]") or os.geteuid() != 0
        await asyncio.sleep(0)
        assert sleeper.returncode is None
    finally:
        sleeper.kill()
        await sleeper.wait()


async def test_it_kills_all_it_can(victim: Bubblewrap) -> None:
    ran = await sh(victim, "kill -KILL -1; kill -KILL 1; kill -KILL $$")
    assert ran.ended in ("exit", "killed")
    assert not ran.ok


async def test_it_writes_to_where_the_end_is_told(victim: Bubblewrap) -> None:
    script = """
for fd in /proc/1/fd/* /proc/self/fd/*; do
    case $(readlink $fd) in *pipe*|*memfd*) echo '{"exit-code": 0}' > $fd ;; esac
done 2>/dev/null
exit 3
"""
    assert (await sh(victim, script)).code == 3


async def test_it_shuts_its_folders(caged: Bubblewrap, place: Path) -> None:
    upper = place / "upper"
    tree = a_tree(place)
    script = "mkdir -p a/b && touch a/b/c && chmod 000 a/b/c a/b a && chmod 000 /src"
    for layer in (Layer(tree, "/src"), Layer(tree, "/src", upper)):
        assert (await sh(caged, script, a_cage(layer, cwd="/src"))).ok
    await remove(upper)
    assert not upper.exists()


async def test_it_digs_deep(caged: Bubblewrap, place: Path) -> None:
    script = "import os\nfor i in range(3000): os.mkdir('deep'); os.chdir('deep')"
    assert (await python(caged, script, a_cage(Layer(a_tree(place), "/src"), cwd="/src"))).ok


async def test_it_lays_a_link_where_the_next_command_is_shown_something(caged: Bubblewrap, place: Path) -> None:
    tree, upper = a_tree(place), place / "upper"
    target = place / "outside"
    target.mkdir()
    layer = Layer(tree, "/src", upper)
    for link in (f"/oldroot{target}", f"../../../..{target}", str(target)):
        assert (await sh(caged, f"rm -rf scripts; ln -s {link} scripts", a_cage(layer, cwd="/src"))).ok
        bind = Bind(tree / "Makefile", "/src/scripts/planted")
        with pytest.raises(InfraError, match="through a link"):
            await sh(caged, "true", Cage((layer, bind), limits=LIMITS))
    assert list(target.iterdir()) == []
    await caged.run(a_cage(layer), ("true",))


async def test_our_own_end_ends_it(caged: Bubblewrap, place: Path) -> None:
    """A warden that is killed takes its command with it."""
    begun = asyncio.Event()
    task = asyncio.ensure_future(
        caged.run(a_cage(), ("sh", "-c", "echo; sleep 86389 & sleep 86389"), heard=lambda piece: begun.set())
    )
    await begun.wait()
    (warden,) = set(running("warden.boot import main")) & set(below(os.getpid()))
    os.kill(warden, signal.SIGKILL)
    with pytest.raises(InfraError, match="died"):
        await task
    for _ in range(100):
        if not running("86389"):
            break
        await asyncio.sleep(0.05)
    assert running("86389") == []
    # Its groups stay until somebody sweeps: any isolation that begins beside us may have done so already.
    sweep(caged.machine.parents)
    assert groups(caged) == []
