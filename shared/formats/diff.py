"""Diffs from strangers: what they change, and why they must not reach any tool.

`faults` is the gate before git, checkpatch and the build see a patch; it reads the diff as ``git apply`` does, so that
what it has seen is what would be applied. `changes` names the files of a diff for triage. Neither raises on any
input. Asks no repository: whether a diff fits a tree is git's to say.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from shared.formats.clean import plain
from shared.formats.diff_parts import Part, Parts
from shared.formats.diff_paths import DEV_NULL, path_faults, stripped, unquote
from shared.model.mails import ChangeKind, DiffFault, FileChange

_FAULTS_KEPT = 50
_MODES = ("old mode", "new mode", "deleted file mode", "new file mode", "index")
_NAMED_OLD = ("rename from", "rename old", "copy from")
_NAMED_NEW = ("rename to", "rename new", "copy to")


@dataclass(frozen=True, slots=True)
class DiffLimits:
    """What a diff may be. Sizes in bytes; `binary` allows binary patches."""

    size: int = 10 << 20
    line: int = 64 << 10
    lines: int = 1_000_000
    files: int = 10_000
    binary: bool = False


def changes(diff: str) -> tuple[FileChange, ...]:
    """The files that a diff changes, in its order, each change as git's extended headers tell it.

    A diff with faults gives what can be made out. Paths are one line without control characters.
    """
    return tuple(_change(part) for part in Parts(diff).parts)


def _names(part: Part) -> tuple[str, str]:
    """Old and new path, `DEV_NULL` for none. Names of ``---`` and ``+++`` go before those of ``diff --git``."""
    git_old, git_new = _git_names(part.git)
    old = next((unquote(part.headers[key]) for key in _NAMED_OLD if key in part.headers), None)
    new = next((unquote(part.headers[key]) for key in _NAMED_NEW if key in part.headers), None)
    old = old if old is not None else stripped(part.old if part.old is not None else git_old)
    new = new if new is not None else stripped(part.new if part.new is not None else git_new)
    return old, new


def _git_names(line: str | None) -> tuple[str, str]:
    """The two names of a ``diff --git`` line: by quotes, by being equal below their prefix, or at the first b/."""
    if line is None:
        return "", ""
    line = line.rstrip("\r")
    if found := re.fullmatch(r'("(?:[^"\\]|\\.)*"|[^"]\S*) ("(?:[^"\\]|\\.)*"|\S+)', line):
        return found[1], found[2]
    half = len(line) // 2
    if line[half : half + 1] == " " and stripped(line[:half]) == stripped(line[half + 1 :]):
        return line[:half], line[half + 1 :]
    old, _, new = line.partition(" b/")
    return old, f"b/{new}" if new else ""


def _change(part: Part) -> FileChange:
    old, new = _names(part)
    kind = _kind(part, old, new)
    moved = kind in (ChangeKind.RENAME, ChangeKind.COPY)
    return FileChange(
        path=plain(old if kind is ChangeKind.DELETE else new),
        kind=kind,
        old_path=plain(old) if moved else "",
        old_mode=_mode(part, "old mode", "deleted file mode"),
        new_mode=_mode(part, "new mode", "new file mode"),
        added=part.added,
        removed=part.removed,
        binary=bool(part.binary),
    )


def _kind(part: Part, old: str, new: str) -> ChangeKind:
    keys = part.headers.keys()
    if "new file mode" in keys or old == DEV_NULL:
        return ChangeKind.ADD
    if "deleted file mode" in keys or new == DEV_NULL:
        return ChangeKind.DELETE
    if "copy to" in keys:
        return ChangeKind.COPY
    if keys & {"rename to", "rename new"}:
        return ChangeKind.RENAME
    if "new mode" in keys and not part.hunks and not part.binary:
        return ChangeKind.MODE
    return ChangeKind.MODIFY


def _mode(part: Part, *keys: str) -> str:
    found = next((part.headers[key] for key in keys if key in part.headers), "") or part.index_mode
    return plain(found.strip())[:6]


def faults(diff: str | bytes, limits: DiffLimits | None = None) -> tuple[DiffFault, ...]:
    """Every reason (the first fifty) why `diff` must not be applied; none for an honest diff or for no diff.

    Rules: size, line, nul, files, binary, quoted-path, absolute-path, dots-path, git-path, control-path,
    backslash-path, long-path, path, names, symlink, submodule, mode, headers, crlf, hunk, ed-script,
    context-diff, empty. Size and NUL are found first, and nothing further is read then.
    """
    limits = limits or DiffLimits()
    # A lone surrogate becomes bytes that are no UTF-8, and so U+FFFD in what is read.
    raw = diff if isinstance(diff, bytes) else diff.encode("utf-8", "surrogatepass")
    if stop := _whole(raw, limits):
        return (stop,)
    read = Parts(raw.decode("utf-8", "replace"))
    found = [DiffFault(*fault) for fault in read.faults]
    if len(read.parts) > limits.files:
        found.append(DiffFault("files", 1, f"{len(read.parts)} files, more than {limits.files} are not read"))
    for part in read.parts:
        if len(found) >= _FAULTS_KEPT:
            break
        found += [DiffFault(rule, line, text) for rule, line, text in _part_faults(part, limits)]
    return tuple(sorted(found, key=lambda fault: fault.line)[:_FAULTS_KEPT])


def _whole(raw: bytes, limits: DiffLimits) -> DiffFault | None:
    if len(raw) > limits.size:
        return DiffFault("size", 1, f"{len(raw)} bytes, more than {limits.size} are not read")
    if (at := raw.find(b"\0")) >= 0:
        return DiffFault("nul", raw.count(b"\n", 0, at) + 1, "NUL byte")
    if (lines := raw.count(b"\n")) > limits.lines:
        return DiffFault("size", 1, f"{lines} lines, more than {limits.lines} are not read")
    for number, line in enumerate(raw.split(b"\n"), 1):
        if len(line) > limits.line:
            return DiffFault("line", number, f"line of {len(line)} bytes, more than {limits.line} are not read")
    return None


def _part_faults(part: Part, limits: DiffLimits) -> Iterator[tuple[str, int, str]]:
    names = _all_names(part)
    if not names:
        yield "path", part.line, "file header without a name"
    for raw, path in names:
        for rule, text in path_faults(raw, path):
            yield rule, part.line, text
    if text := _disagreement(part):
        yield "names", part.line, text
    yield from _mode_faults(part)
    if part.binary and not limits.binary:
        yield "binary", part.binary, "binary patch: nobody can review it"
    if not part.hunks and not part.binary and not part.headers.keys() - {"index"}:
        yield "empty", part.line, "file header that changes nothing"


def _all_names(part: Part) -> dict[tuple[str, str], None]:
    """Every name that any tool could take for this file, as written and as path, each once."""
    names = [name for name in (*_git_names(part.git), part.old, part.new) if name]
    moved = [part.headers[key] for key in (*_NAMED_OLD, *_NAMED_NEW) if key in part.headers]
    return dict.fromkeys([(name, stripped(name)) for name in names] + [(name, unquote(name)) for name in moved])


def _disagreement(part: Part) -> str:
    """Where two headers name the same file differently, for tools differ in which they believe."""
    git_old, git_new = (stripped(name) for name in _git_names(part.git))
    old, new = _names(part)
    if part.git is not None:
        pairs = [(old, git_old), (new, git_new), (stripped(part.old or DEV_NULL), git_old)]
        pairs += [(stripped(part.new or DEV_NULL), git_new)]
    else:
        pairs = [(old, new)]
    for one, other in pairs:
        if DEV_NULL not in (one, other) and one != other:
            return f"headers disagree on the name: {plain(one)[:200]!r}, {plain(other)[:200]!r}"
    moved = part.headers.keys() & {*_NAMED_OLD, *_NAMED_NEW}
    if not moved and DEV_NULL not in (old, new) and old != new:
        return f"two names without a rename: {plain(old)[:200]!r}, {plain(new)[:200]!r}"
    return "no name" if old == new == DEV_NULL else ""


def _mode_faults(part: Part) -> Iterator[tuple[str, int, str]]:
    for key in _MODES:
        mode = part.index_mode if key == "index" else part.headers.get(key, "").strip()
        line = part.header_lines.get(key, part.line)
        match mode:
            case "120000":
                yield "symlink", line, "symbolic link"
            case "160000":
                yield "submodule", line, "submodule"
            case "100644" | "100755":
                continue
            case "" if key == "index" or key not in part.headers:
                continue
            case _:
                yield "mode", line, f"file mode {plain(mode)[:20]!r}"
