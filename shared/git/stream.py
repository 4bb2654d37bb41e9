"""Commits written by one `git fast-import`: the stream it reads, made of what each patch changed.

Pure. fast-import reads from the base only the trees along the changed paths, which is why a commit on a tree of
eighty thousand files costs no more than one on a tree of ten.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from shared.git.message import Letter, ident, rfc2822
from shared.model.ids import Sha
from shared.model.mails import Person

Paths = Mapping[bytes, tuple[int, str]]
"""Mode and blob of each path of a small index, or of a change, where `GONE` stands for a deletion."""

GONE = (0, "")

IMPORT = ("fast-import", "--quiet", "--done", "--date-format=rfc2822", "--force")

# What a power cut takes from a store can be had again; the disk's round trips would cost more than all the rest.
NO_SYNC: Mapping[str, str] = {"core.fsync": "none", "fastimport.unpackLimit": "200"}


def commit_stream(
    ref: str, base: Sha, steps: Sequence[tuple[Letter, Paths]], committer: Person, now: datetime
) -> bytes:
    """The input that makes one commit of each step, the first on `base`; it prints their ids, one a line.

    `ref` is a name that nobody else uses. It is taken back at the end of the stream, so that it never exists.
    """
    return b"".join(_lines(ref.encode(), base, steps, ident(committer), rfc2822(now)))


def _lines(
    ref: bytes, base: Sha, steps: Sequence[tuple[Letter, Paths]], committer: bytes, now: bytes
) -> Iterator[bytes]:
    for mark, (letter, changes) in enumerate(steps, 1):
        start = b":%d" % (mark - 1) if mark > 1 else base.encode()
        yield b"commit %s\nmark :%d\n" % (ref, mark)
        yield b"author %s %s\ncommitter %s %s\n" % (letter.author, letter.date, committer, now)
        yield b"data %d\n%s\nfrom %s\n" % (len(letter.message), letter.message, start)
        yield from _files(changes)
    yield b"reset %s\nfrom %s\n\n" % (ref, b"0" * 40)
    yield from (b"get-mark :%d\n" % mark for mark in range(1, len(steps) + 1))
    yield b"done\n"


def _files(changes: Paths) -> Iterator[bytes]:
    """Deletions first: a file may take the place of a folder."""
    for path, (mode, sha) in sorted(changes.items(), key=lambda item: item[1] != GONE):
        if mode == 0:
            yield b"D %s\n" % quote(path)
        else:
            yield b"M %o %s %s\n" % (mode, sha.encode(), quote(path))


def quote(path: bytes) -> bytes:
    """A path as fast-import reads it; always quoted, so that none can be taken for anything else."""
    plain = (b"\\%03o" % c if c < 0x21 or c > 0x7E or c in b'"\\' else bytes([c]) for c in path)
    return b'"' + b"".join(plain) + b'"'
