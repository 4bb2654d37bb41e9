"""The kernel source with a case's history on it, and the case's mails as git makes them."""

import os
import quopri
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from shared.formats.mbox import split_mbox
from shared.model.ids import Sha
from shared.practice.tree import git
from tests.corpus.case import Case, Change, Edit, Patch

WHEN = 1_795_424_400
"""When all commits are made, seconds since 1970: ids depend on it."""

LONG_AGO = 1_600_000_000
NOW = datetime.fromtimestamp(WHEN + 3600, UTC)
_NAMED = re.compile(r"\{([a-z][a-z0-9_]*)(?::(\d+))?\}")
_MADE = f"refs/heads/made-{os.getpid()}"
_NO_FILES = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"


@dataclass(frozen=True)
class Posted:
    """A case as it is before anything looks at it: the commit that its patches are for, and its mails in order.

    For a pull request `pulled` is the head of what is to be pulled, and the only mail asks for that.
    """

    base: Sha
    mails: tuple[bytes, ...]
    cover: bytes | None = None
    pulled: Sha | None = None


def scratch(path: Path, kernel: Path) -> Path:
    """A store of our own that has the kernel's objects, too; made when it is not there."""
    path.mkdir(parents=True, exist_ok=True)
    (path / "netci.owner").touch()
    git(path, "init", "--quiet", "--bare", "--template=", "--initial-branch=main", ".")
    (path / "objects/info").mkdir(exist_ok=True)
    (path / "objects/info/alternates").write_text(f"{kernel / 'objects'}\n")
    git(path, "config", "gc.auto", "0")
    return path


def post(repo: Path, kernel: Sha, case: Case, folder: Path) -> Posted:
    """Make the case in `repo`; `folder` is where its file lies."""
    ids: dict[str, str] = {}
    base = _history(repo, kernel, case.history, ids)
    if case.mails:
        return Posted(Sha(base), tuple((folder / name).read_bytes() for name in case.mails))
    commits: list[str] = []
    for change in case.patch:
        commits.append(_commit(repo, commits[-1] if commits else base, change, ids))
        if change.name:
            ids[change.name] = commits[-1]
    if case.pull:
        return Posted(Sha(base), (_letter(case, case.pull, "x", "for you to fetch changes"),), None, Sha(commits[-1]))
    cover = _letter(case, f"[{case.prefix} 0/{len(commits)}] {case.cover}", "cover", "Why.") if case.cover else None
    return Posted(Sha(base), tuple(_mails(repo, base, commits, case)), cover)


def _history(repo: Path, head: str, changes: Sequence[Change], ids: dict[str, str]) -> str:
    for change in changes:
        made = _alone(repo, change) if change.alone else _commit(repo, head, change, ids)
        if change.alone:
            tree = git(repo, "rev-parse", f"{head}^{{tree}}").decode().strip()
            head = _object(repo, tree, (head, made), "Merge what is joined\n")
        elif not change.aside:
            head = made
        if change.name:
            ids[change.name] = made
    return head


def _alone(repo: Path, change: Change) -> str:
    """A commit whose id depends on nothing but its author and message."""
    return _object(repo, _NO_FILES, (), f"{change.subject}\n", change.author, LONG_AGO)


def _object(
    repo: Path,
    tree: str,
    parents: Sequence[str],
    message: str,
    author: str = "netci <ci@example.org>",
    when: int = WHEN,
) -> str:
    git(repo, "hash-object", "-t", "tree", "-w", "--stdin")
    above = "".join(f"parent {parent}\n" for parent in parents)
    text = f"tree {tree}\n{above}author {author} {when} +0000\ncommitter {author} {when} +0000\n\n{message}"
    return git(repo, "hash-object", "-t", "commit", "-w", "--stdin", stdin=text.encode()).decode().strip()


def _commit(repo: Path, parent: str, change: Change, ids: Mapping[str, str]) -> str:
    message = _NAMED.sub(lambda m: ids[m[1]][: int(m[2] or 40)] if m[1] in ids else m[0], change.whole).encode()
    committer = change.committer or change.author
    files = _Files(repo, parent)
    for edit in change.edits:
        files.apply(edit)
    head = f"commit {_MADE}\nauthor {change.author} {WHEN} +0000\ncommitter {committer} {WHEN} +0000\n"
    stream = b"%sdata %d\n%sfrom %s\n" % (head.encode(), len(message), message, parent.encode())
    stream += b"".join(files.stream()) + b"done\n"
    git(repo, "fast-import", "--quiet", "--force", "--done", stdin=stream)
    commit = git(repo, "rev-parse", _MADE).decode().strip()
    git(repo, "update-ref", "-d", _MADE)
    return commit


class _Files:
    """The files that a commit changes, each with mode and text; None for one that is gone."""

    def __init__(self, repo: Path, parent: str) -> None:
        self._repo, self._parent = repo, parent
        self._files: dict[str, tuple[str, str] | None] = {}

    def apply(self, edit: Edit) -> None:
        if edit.delete:
            self._files[edit.path] = None
        elif edit.content is not None:
            self._files[edit.path] = edit.mode or "100644", edit.content
        else:
            mode, text = self._files.get(edit.path) or self._of_parent(edit.path)
            if edit.old:
                assert text.count(edit.old) == 1, f"{edit.path}: {edit.old!r} is in it {text.count(edit.old)} times"
            self._files[edit.path] = None if edit.rename else (mode, text)
            changed = text.replace(edit.old, edit.new) if edit.old else text
            self._files[edit.rename or edit.path] = edit.mode or mode, changed

    def _of_parent(self, path: str) -> tuple[str, str]:
        mode = git(self._repo, "ls-tree", self._parent, "--", path).split()[0]
        return mode.decode(), git(self._repo, "cat-file", "blob", f"{self._parent}:{path}").decode()

    def stream(self) -> Iterator[bytes]:
        for path, file in self._files.items():
            if file is None:
                yield f"D {path}\n".encode()
            else:
                mode, text = file
                yield f"M {mode} inline {path}\ndata {len(text.encode())}\n{text}\n".encode()


def _mails(repo: Path, base: str, commits: Sequence[str], case: Case) -> list[bytes]:
    number = ["--numbered"] if len(commits) > 1 or case.cover else []
    box = git(
        repo, "format-patch", "--stdout", "--no-signature", "--find-renames", "--stat=72", *number,
        f"--subject-prefix={case.prefix}", f"{base}..{commits[-1]}",
    )  # fmt: skip
    mails = split_mbox(box)
    assert len(mails) == len(case.patch), "git format-patch leaves out commits without a diff"
    return [_addressed(mail, patch, n) for n, (mail, patch) in enumerate(zip(mails, case.patch, strict=True), 1)]


def _addressed(mail: bytes, patch: Patch, number: int) -> bytes:
    lines = [f"Message-Id: <patch-{number}@corpus.example>"]
    lines += [f"{key}: {', '.join(who)}" for key, who in (("To", patch.to), ("Cc", patch.cc)) if who]
    head, blank, body = mail.partition(b"\n\n")
    if b"\r" in body:
        # As git send-email does: plain text does not keep its line ends on the way.
        lines += ["MIME-Version: 1.0", "Content-Type: text/plain; charset=UTF-8"]
        lines += ["Content-Transfer-Encoding: quoted-printable"]
        body = quopri.encodestring(body.replace(b"\r", b"=0D")).replace(b"=3D0D", b"=0D")
    return head + "".join(f"\n{line}" for line in (*lines, *patch.headers)).encode() + blank + body


def _letter(case: Case, subject: str, name: str, text: str) -> bytes:
    author = case.patch[0].author
    head = f"From: {author}\nDate: {NOW:%a, %d %b %Y %H:%M:%S +0000}\nSubject: {subject}"
    kind = "Content-Type: text/plain; charset=utf-8"
    return f"{head}\nMessage-Id: <{name}@corpus.example>\n{kind}\n\n{text}\n".encode()
