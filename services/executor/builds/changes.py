"""What two commits differ in, as a build cares: asked of git."""

from services.executor.builds.compare import Change
from shared.git.objects import Objects
from shared.model.ids import Sha


async def change_between(store: Objects, old: Sha, new: Sha) -> Change:
    """Paths by what was done to them; a rename touches both of its names."""
    if old == new:
        return Change()
    ran = await store.git(
        "diff-tree", "-r", "-M", "-l1000", "-z", "--name-status", "--end-of-options", old, new, timeout=300
    )  # fmt: skip
    return read_change(ran.text)


def read_change(text: str) -> Change:
    """Of what ``git diff-tree -z --name-status`` prints."""
    words = iter(text.split("\0"))
    touched: set[str] = set()
    added: set[str] = set()
    deleted: set[str] = set()
    renamed: dict[str, str] = {}
    for status in words:
        if not status:
            continue
        path = next(words)
        touched.add(path)
        if status.startswith("R"):
            renamed[path] = next(words)
            touched.add(renamed[path])
            deleted.add(path)
        elif status == "A":
            added.add(path)
        elif status == "D":
            deleted.add(path)
    return Change(frozenset(touched), frozenset(added), frozenset(deleted), renamed)
