"""Repositories for tests: a small tree like the kernel's, commits on it, and mails made of them by git itself."""

import os
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from shared.git.store import Store
from shared.model.ids import Sha
from shared.model.mails import Person

CI = Person("netci", "ci@example.org")
NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)

_ENV = {
    **{k: v for k, v in os.environ.items() if not k.startswith("GIT_")},
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_AUTHOR_NAME": "Ada Kernel",
    "GIT_AUTHOR_EMAIL": "ada@example.com",
    "GIT_AUTHOR_DATE": "Mon, 23 Nov 2026 08:00:00 +0100",
    "GIT_COMMITTER_NAME": CI.name,
    "GIT_COMMITTER_EMAIL": CI.email,
    "GIT_COMMITTER_DATE": "Mon, 23 Nov 2026 09:00:00 +0000",
    "LC_ALL": "C",
}


def git(folder: Path, *args: str, stdin: bytes = b"", ok: bool = True, env: Mapping[str, str] | None = None) -> str:
    """Run the machine's git in `folder`, as a developer would; its output without the last newline."""
    ran = subprocess.run(
        ["git", *args], cwd=folder, input=stdin, capture_output=True, env={**_ENV, **(env or {})}, check=False
    )
    if ok and ran.returncode:
        raise AssertionError(f"git {args}: {ran.stderr.decode()}")
    return ran.stdout.decode("utf-8", "surrogateescape").removesuffix("\n")


def lines(prefix: str, count: int = 30) -> str:
    """Text of `count` different lines."""
    return "".join(f"{prefix} line {number}\n" for number in range(1, count + 1))


def a_tree(folder: Path, files: Mapping[str, str] | None = None) -> Path:
    """A repository with one commit, on branch main."""
    folder.mkdir(parents=True)
    git(folder, "init", "-q", "-b", "main")
    base = {"net/core/dev.c": lines("dev"), "net/ipv4/tcp.c": lines("tcp"), "README": lines("readme", 5)}
    commit(folder, "base", files if files is not None else base)
    return folder


def commit(folder: Path, subject: str, files: Mapping[str, str | None]) -> Sha:
    """Write (or with None delete) files and commit them."""
    for name, text in files.items():
        path = folder / name
        if text is None:
            path.unlink()
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "--allow-empty", "-m", subject)
    return head(folder)


def head(folder: Path, name: str = "HEAD") -> Sha:
    """The commit that `name` means in a developer's repository."""
    return Sha(git(folder, "rev-parse", name))


def mails(folder: Path, base: str, *flags: str) -> list[bytes]:
    """The commits since `base` as mails."""
    text = git(folder, "format-patch", "--stdout", "--full-index", *flags, f"{base}..HEAD")
    parts = text.split("\nFrom ")
    return [
        ("" if n == 0 else "From ").encode() + p.encode("utf-8", "surrogateescape") + b"\n" for n, p in enumerate(parts)
    ]


def a_mail(diff: str | bytes, subject: str = "[PATCH net] tcp: a change", extra: str = "") -> bytes:
    """A mail around a diff."""
    body = diff.encode() if isinstance(diff, str) else diff
    head_ = f"From: Ada Kernel <ada@example.com>\nDate: Mon, 23 Nov 2026 08:00:00 +0100\nSubject: {subject}\n{extra}\n"
    return head_.encode() + b"Why.\n\nSigned-off-by: Ada Kernel <ada@example.com>\n---\n\n" + body + b"\n-- \n2.39.5\n"


async def a_store(folder: Path, source: Path, branch: str = "main") -> tuple[Store, Sha]:
    """A store that has fetched `branch` of `source`."""
    store = Store(folder)
    await store.ensure()
    return store, await store.fetch_branch(str(source), branch, "refs/netci/trees/main")


def am(folder: Path, base: str, letters: list[bytes], *flags: str) -> list[str]:
    """What `git am` makes of the mails: the commit ids, oldest first."""
    git(folder, "checkout", "-q", "--detach", base)
    for letter in letters:
        git(folder, "am", "-q", *flags, stdin=letter)
    return git(folder, "rev-list", "--reverse", f"{base}..HEAD").split("\n")


def snapshot(folder: Path, besides: Path) -> dict[str, tuple[int, float]]:
    """Every file below `folder` that is not below `besides`: size and time, to see that nothing was written."""
    return {
        str(path): (path.lstat().st_size, path.lstat().st_mtime)
        for path in folder.rglob("*")
        if besides not in path.parents and path != besides
    }
