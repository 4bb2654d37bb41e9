"""Which files a linter is shown: those that a patch adds or changes, each with what it was before. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from posixpath import basename, dirname

from services.executor.checks.base import Patch
from shared.model.mails import ChangeKind

_SYMLINK = "120000"


@dataclass(frozen=True, slots=True)
class Touched:
    """A file. `before` is its path in the parent commit, "" for a new one."""

    path: str
    before: str

    @property
    def folder(self) -> str:
        return dirname(self.path)

    @property
    def name(self) -> str:
        """Its base name, so that no tool takes it for an option."""
        return f"./{basename(self.path)}"


def touched(patch: Patch, suffix: str) -> tuple[Touched, ...]:
    """Files of that suffix that the patch leaves with other content: added, changed, renamed; no link, no deletion.

    A copy is a new file: who copies what no tool liked, could do better.
    """
    found: dict[str, Touched] = {}
    for change in patch.files:
        if not change.path.endswith(suffix) or change.binary or change.new_mode == _SYMLINK:
            continue
        if change.kind in (ChangeKind.ADD, ChangeKind.COPY):
            found[change.path] = Touched(change.path, "")
        elif change.kind in (ChangeKind.MODIFY, ChangeKind.MODE, ChangeKind.RENAME):
            found.setdefault(change.path, Touched(change.path, change.old_path or change.path))
    return tuple(found.values())


def named(paths: Sequence[str], names: Sequence[str]) -> tuple[str, ...]:
    """Those of `paths` whose base name is one of `names`, globs."""
    return tuple(path for path in paths if any(fnmatchcase(basename(path), name) for name in names))
