"""The command's first process: from the warden to bubblewrap, and what bubblewrap says of the command's end."""

import os
import signal

from services.executor.cage.warden.order import BARE, Order
from services.executor.cage.warden.watch import Groups

WATCHED = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD}
"""Signals that the warden waits for, and that its child must not find blocked."""


def begin(order: Order, groups: Groups, uid: int, gid: int) -> tuple[int, int]:
    """Begin the command. Its first process, and the descriptor that `reported` reads. Raises OSError."""
    report, report_end = os.pipe()
    told: dict[str, int] = {}
    if order.mode != BARE:
        # By a file, as a command line can be read inside.
        words = b"".join(os.fsencode(word) + b"\0" for word in order.argv[1 : order.outer])
        told = {"--json-status-fd": report_end, "--args": _file_of(words)}
    if order.seccomp:
        told["--seccomp"] = _file_of(order.seccomp)
    argv = [order.argv[0], *(word for option, fd in told.items() for word in (option, str(fd)))]
    for word in order.argv[order.outer : order.ours]:
        argv.append(word.replace("{uid}", str(uid)).replace("{gid}", str(gid)))
    argv += order.argv[order.ours :]
    child = os.fork()
    if child == 0:
        _become(order, groups, argv, list(told.values()))
    for fd in {report_end, *told.values()}:
        os.close(fd)
    return child, report


def _file_of(data: bytes) -> int:
    """A descriptor to read `data` from."""
    fd = os.memfd_create("words")
    os.write(fd, data)
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def _become(order: Order, groups: Groups, argv: list[str], inherited: list[int]) -> None:
    """In the child: never returns."""
    try:
        groups.join()
        for fd in inherited:
            os.set_inheritable(fd, True)
        # The machine's memory, should it run out, is better had from here than from the service.
        with open("/proc/self/oom_score_adj", "w") as file:
            file.write("500")
        for number in (signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, WATCHED)
        os.umask(0o022)
        if order.mode == BARE:
            os.setsid()
        os.chdir(order.cwd)
        os.execve(argv[0], argv, order.env)
    except BaseException as exc:
        os.write(2, f"netci: {exc}\n".encode())
    finally:
        os._exit(126)


def reported(report: int) -> int | None:
    """The command's exit code; None if it never ended by itself. To be asked when nobody is left who could write."""
    said = b""
    while part := os.read(report, 4096):
        said += part
    _, found, after = said.rpartition(b'"exit-code":')
    return int(after.strip().split(b"}")[0].split(b",")[0]) if found else None
