"""Users for commands, out of a range that belongs to nobody else.

61000 to 61063 lie where Debian gives out nothing by itself and between the ranges that systemd keeps for its own (up
to 60577, and from 61184). The first is never a command's: it owns what commands have written, on disk, so that
nothing there is ever root's, a set-uid file least of all.
"""

import fcntl
import os

from services.executor.cage.warden.order import CannotMake


def storage(users: tuple[int, int]) -> int:
    """Who owns on disk what commands wrote."""
    return users[0]


def lease(users: tuple[int, int], folder: str) -> int:
    """A user that no other command on this machine is, until this process ends. Raises CannotMake.

    `folder` is one for the whole machine, whatever else runs here of ours: a lock there is held by who has the user.
    """
    os.makedirs(folder, mode=0o700, exist_ok=True)
    count = users[1] - users[0]
    for step in range(count):
        uid = users[0] + 1 + (os.getpid() + step) % count
        lock = os.open(os.path.join(folder, str(uid)), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
        else:
            return uid
    raise CannotMake(f"all users of the range {users[0] + 1}-{users[1]} are at work; make checks.users larger")
