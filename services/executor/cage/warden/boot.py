"""A warden's whole life: `main`."""

import errno
import os
import signal
import time
from stat import S_ISFIFO

from services.executor.cage.warden import kernel, stage, users
from services.executor.cage.warden.begin import WATCHED, begin, reported
from services.executor.cage.warden.order import BARE, DROP, OWN, STAGE, Answer, CannotMake, Order, unpacked
from services.executor.cage.warden.watch import Disk, Groups, below

_LOOK = 0.1
"""Seconds between looks at what is used up."""
_ENDING = WATCHED - {signal.SIGCHLD}


def main(order_fd: int, answer_fd: int, parent: int) -> None:
    """Read the order, carry it out, answer."""
    signal.pthread_sigmask(signal.SIG_BLOCK, WATCHED)
    kernel.adopt_orphans()
    with os.fdopen(order_fd, "rb") as file:
        order = unpacked(file.read())
    _keep_to_ourselves(order.fds)
    os.write(answer_fd, Warden(order, parent).life().packed())


def _keep_to_ourselves(given: tuple[int, ...]) -> None:
    """No descriptor but the streams and those given goes any further: one would be a way out."""
    for fd in map(int, os.listdir("/proc/self/fd")):
        try:
            os.set_inheritable(fd, fd < 3 or fd in given)
        except OSError:
            pass  # that of the listing itself


class Warden:
    """See the package."""

    def __init__(self, order: Order, parent: int) -> None:
        self._order, self._parent = order, parent
        self._groups: Groups | None = None
        self._disk: Disk | None = None
        self._report = -1
        self._child = 0
        self._code = 0

    def life(self) -> Answer:
        """Make, run, watch, kill, clean up."""
        try:
            self._die_with_parent()
            copied = self._make()
            assert self._groups is not None
            began = time.monotonic()
            self._child, self._report = begin(self._order, self._groups, self._uid, self._gid)
            ended = self._watch(began + self._order.seconds)
            self._end()
            answer = self._judge(ended, time.monotonic() - began)
            answer.copied = copied
            return answer
        except (OSError, CannotMake) as exc:
            return Answer(error=_words(exc, self._order))
        finally:
            self._end()
            self._clean()

    def _die_with_parent(self) -> None:
        kernel.die_with_parent(signal.SIGTERM)
        if os.getppid() != self._parent:
            # It died before we asked to be told, so we never will be.
            raise CannotMake("the service is gone")

    def _make(self) -> bool:
        order = self._order
        self._uid, self._gid = os.geteuid(), os.getegid()
        if order.mode == DROP:
            self._uid = self._gid = users.lease(order.users, order.lock_folder)
            self._give_pipes()
            kernel.unshare(kernel.CLONE_NEWNS)
        elif order.mode == OWN:
            _own_namespace(self._uid, self._gid)
            # Whoever gets new rights is no longer told, and we got some.
            self._die_with_parent()
        self._groups = Groups(order)
        copied = stage.build(order, self._uid, self._gid)
        self._disk = Disk(order)
        return copied

    def _give_pipes(self) -> None:
        """Scripts say ``> /dev/stderr``, which opens the pipe anew: as another user's it would be refused."""
        for fd in {1, 2, *self._order.fds}:
            if S_ISFIFO(os.fstat(fd).st_mode):
                os.fchown(fd, self._uid, self._gid)

    def _watch(self, deadline: float) -> str:
        """Until the command ends, or has to. What its end was, as far as we are to blame."""
        assert self._groups is not None
        assert self._disk is not None
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                return "time"
            got = signal.sigtimedwait(WATCHED, min(_LOOK, left))
            if got is not None and got.si_signo in _ENDING:
                return "stopped"
            if self._reap(os.WNOHANG):
                return "exit"
            if exceeded := self._groups.exceeded():
                return exceeded
            if self._disk.full():
                return "disk"
            if not self._groups.counts and sum(1 for _ in below(os.getpid())) >= self._order.processes:
                return "processes"

    def _reap(self, flags: int) -> bool:
        """Take in what has died. True once the command has."""
        while self._child:
            try:
                pid, status = os.waitpid(-1, flags)
            except ChildProcessError:
                break
            if pid == 0:
                return False
            if pid == self._child:
                self._code = os.waitstatus_to_exitcode(status)
                self._child = 0
        return True

    def _end(self) -> None:
        """Kill whatever is below us, until nothing is. In a cage, one blow ends all: its first process."""
        while True:
            for pid in list(below(os.getpid())):
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            try:
                pid, status = os.waitpid(-1, 0)
            except ChildProcessError:
                return
            if pid == self._child:
                self._code = os.waitstatus_to_exitcode(status)
                self._child = 0

    def _judge(self, ended: str, seconds: float) -> Answer:
        assert self._groups is not None
        assert self._disk is not None
        code = self._code if self._order.mode == BARE else reported(self._report)
        if ended == "exit":
            # What was used up in its last moments, which we had no time to look at.
            ended = self._groups.exceeded() or ("disk" if self._disk.was_full() else "exit")
        if code is None and ended == "exit":
            if self._code > 0:
                return Answer(error=_UNMADE)
            ended = "killed"
        code = code if code is not None and ended == "exit" else 128 + signal.SIGKILL
        code = 128 - code if code < 0 else code
        return Answer(ended="disk" if code == 128 + signal.SIGXFSZ else ended, code=code, seconds=seconds)

    def _clean(self) -> None:
        if self._groups:
            self._groups.remove()
        if self._order.mode != BARE:
            try:
                kernel.unmount(os.path.join(self._order.folder, STAGE))
            except OSError:
                pass  # it wasn't mounted yet
        try:
            stage.remove_work(self._order)
            stage.remove(self._order.folder)
        except CannotMake as exc:
            os.write(2, f"netci: {exc}\n".encode())


_UNMADE = "bubblewrap could not make the cage"


def _own_namespace(uid: int, gid: int) -> None:
    """Root in a user namespace, of nothing but mounts: what the stage needs."""
    kernel.unshare(kernel.CLONE_NEWUSER | kernel.CLONE_NEWNS)
    for name, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)


def _words(exc: Exception, order: Order) -> str:
    advice = ""
    if isinstance(exc, OSError) and exc.errno in (errno.EPERM, errno.EACCES, errno.ENOSPC, errno.EUSERS):
        advice = {
            DROP: " (root needs CAP_SYS_ADMIN, CAP_SETUID, CAP_SETGID and CAP_CHOWN here)",
            OWN: " (may ordinary users make user namespaces on this machine?)",
        }.get(order.mode, "")
    return f"{exc}{advice}"
