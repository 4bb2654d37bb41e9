"""The stage: a small file system in a mount namespace of ours, where all that a cage shows and we make is laid out.

It holds what the command may write besides layers, so its size is the limit. Layers are overlays. As root, they are
made over *mapped* mounts: in the lower one, what belongs to the lower folder's owner belongs to the command's user,
and in the upper one what belongs to the storage user does. So a command may change every file of the tree it was
given, the tree is as it was, what was written is nobody's on disk, and it may be another user's in the next command.
As an ordinary user, all belongs to one. Where the kernel can't do that, a layer is a copy.
"""

import os

from services.executor.cage.warden import kernel, users
from services.executor.cage.warden.order import (
    BARE,
    DATA,
    DROP,
    OWN,
    SCRATCH,
    STAGE,
    WORK,
    CannotMake,
    Order,
    layer_at,
    writable_at,
)

INODES = 1 << 19
"""Names in the stage: each is some memory that its size says nothing of."""


def build(order: Order, uid: int, gid: int) -> bool:
    """Lay all out. True if a layer is a copy. Raises OSError or CannotMake."""
    stage = os.path.join(order.folder, STAGE)
    os.makedirs(stage, mode=0o700)
    if order.mode != BARE:
        _private(order, stage)
    _folders(order, stage, uid, gid)
    copied = [_layer(order, stage, n, uid, gid) for n in range(len(order.layers))]
    for number, source in enumerate(order.writable):
        _writable(order, source, os.path.join(stage, writable_at(number)), uid, gid)
    for layer, source, path in order.over:
        _leads_through_no_link(os.path.join(order.layers[layer][1], DATA), path)
        _tool("cp", "-a", "--no-target-directory", "--", source, os.path.join(order.layers[layer][1], DATA, path))
    for folder, path in order.nested:
        _leads_through_no_link(os.path.join(stage, folder), path)
    return any(copied)


def _private(order: Order, stage: str) -> None:
    kernel.mount("none", "/", "", kernel.MS_REC | kernel.MS_PRIVATE, "")
    options = f"size={order.disk},nr_inodes={INODES},mode=755"
    kernel.mount("tmpfs", stage, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, options)


def _folders(order: Order, stage: str, uid: int, gid: int) -> None:
    for name in SCRATCH:
        folder = os.path.join(stage, name)
        os.mkdir(folder)
        os.chmod(folder, 0o700 if name == "home" else 0o1777)
        if order.mode == DROP:
            os.chown(folder, uid, gid)
    os.mkdir(os.path.join(stage, "etc"))
    for name, text in order.etc.items():
        with open(os.path.join(stage, "etc", name), "w") as file:
            os.fchmod(file.fileno(), 0o644)
            file.write(text.replace("{uid}", str(uid)).replace("{gid}", str(gid)))


def _layer(order: Order, stage: str, number: int, uid: int, gid: int) -> bool:
    """Show lower folder `number`, writable. True if it is a copy."""
    lower, upper = order.layers[number]
    target = os.path.join(stage, layer_at(number))
    owner = users.storage(order.users) if order.mode == DROP else -1
    for folder in (upper, os.path.join(upper, DATA)):
        os.makedirs(folder, mode=0o700, exist_ok=True)
        os.chown(folder, owner, owner)
    os.chmod(os.path.join(upper, DATA), os.stat(lower).st_mode & 0o7777)
    is_copy = os.path.join(upper, "copied")
    os.mkdir(target)
    if order.mode != BARE and not os.path.exists(is_copy):
        try:
            _overlay(order, stage, number, uid, gid)
            return False
        except OSError:
            pass
    if not os.path.exists(is_copy):
        _copy(lower, os.path.join(upper, DATA))
        os.close(os.open(is_copy, os.O_CREAT | os.O_WRONLY, 0o600))
    _show_copy(order, os.path.join(upper, DATA), target, uid, gid)
    return True


def _overlay(order: Order, stage: str, number: int, uid: int, gid: int) -> None:
    lower, upper = order.layers[number]
    # Of an earlier command. The kernel won't have a folder that wasn't synced, and what is in there is never read.
    remove(os.path.join(upper, WORK))
    os.mkdir(os.path.join(upper, WORK))
    names = [os.path.join(stage, f"{kind}{number}") for kind in ("lower", "upper")]
    for name in names:
        os.mkdir(name)
    if order.mode == DROP:
        owner = users.storage(order.users)
        held = os.stat(lower)
        os.chown(os.path.join(upper, WORK), owner, owner)
        _mapped(lower, names[0], (held.st_uid, uid), (held.st_gid, gid))
        _mapped(upper, names[1], (owner, uid), (owner, gid))
    else:
        for source, name in zip((lower, upper), names, strict=True):
            kernel.mount(source, name, "", kernel.MS_BIND | kernel.MS_REC, "")
    # Short, relative names: no colon or comma of a path gets between the options, and they fit on a page.
    os.chdir(stage)
    options = f"lowerdir=lower{number},upperdir=upper{number}/{DATA},workdir=upper{number}/{WORK}"
    options += ",userxattr" if order.mode == OWN else ""
    kernel.mount("overlay", layer_at(number), "overlay", kernel.MS_NOSUID | kernel.MS_NODEV, f"{options},volatile")
    os.chdir("/")
    if os.statvfs(os.path.join(stage, layer_at(number))).f_flag & os.ST_RDONLY:
        kernel.unmount(os.path.join(stage, layer_at(number)))
        raise OSError(30, "the kernel made the overlay read-only")


def _mapped(source: str, target: str, uids: tuple[int, int], gids: tuple[int, int]) -> None:
    namespace = kernel.mapping(kernel.swapped(*uids), kernel.swapped(*gids))
    try:
        kernel.mapped(source, target, namespace)
    finally:
        os.close(namespace)


def _copy(lower: str, data: str) -> None:
    _tool("cp", "-a", "--reflink=auto", "--no-target-directory", "--", lower, data)


def _show_copy(order: Order, data: str, target: str, uid: int, gid: int) -> None:
    if order.mode == BARE:
        return
    if order.mode == DROP:
        _tool("chown", "-hR", "--", f"{uid}:{gid}", data)
    kernel.mount(data, target, "", kernel.MS_BIND, "")


def _writable(order: Order, source: str, target: str, uid: int, gid: int) -> None:
    """A folder or file whose changes stay. On disk, they are the storage user's."""
    if order.mode != DROP:
        os.symlink(source, target)
        return
    owner = users.storage(order.users)
    if os.stat(source).st_uid != owner:
        _tool("chown", "-hR", "--", f"{owner}:{owner}", source)
    if os.path.isdir(source):
        os.mkdir(target)
    else:
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY, 0o600))
    try:
        _mapped(source, target, (owner, uid), (owner, gid))
    except OSError:
        _tool("chown", "-hR", "--", f"{uid}:{gid}", source)
        kernel.mount(source, target, "", kernel.MS_BIND, "")


def _leads_through_no_link(folder: str, path: str) -> None:
    """bubblewrap follows links, as root, in what a patch has made: it would be led out of the cage."""
    at = os.path.realpath(folder)
    for part in path.split("/"):
        at = os.path.join(at, part)
        if os.path.islink(at):
            raise CannotMake(f"{path} is reached through a link in the tree")
        if not os.path.lexists(at):
            return


def remove_work(order: Order) -> None:
    """What the kernel left beside what was written: closed to all, so whoever throws that away would stumble."""
    for _, upper in order.layers:
        remove(os.path.join(upper, WORK))


def remove(path: str) -> None:
    """With all that is in it, however deep. In an ordinary user's namespace this is done with root's rights there,
    so no mode keeps anything. Raises CannotMake.
    """
    try:
        os.rmdir(path)
    except FileNotFoundError:
        return
    except OSError:
        _tool("rm", "-rf", "--one-file-system", "--", path)


def _tool(*argv: str) -> None:
    """Run a program. By hand, as importing subprocess costs more than all a warden otherwise imports."""
    said = os.memfd_create("said")
    try:
        actions = [(os.POSIX_SPAWN_DUP2, said, 2), (os.POSIX_SPAWN_DUP2, said, 1)]
        pid = os.posix_spawnp(argv[0], argv, os.environ, file_actions=actions, setsigmask=())
        if os.waitpid(pid, 0)[1]:
            raise CannotMake(f"{argv[0]}: {os.pread(said, 500, 0).decode(errors='replace').strip()}")
    finally:
        os.close(said)
