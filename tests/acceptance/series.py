"""Series on the kernel's source, made with git: commits on the real files, mails by `git format-patch`.

Each has a role and what must be on Patchwork for it after each of two branches.
"""

import os
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

NOW = int(time.time()) - 60
_ENV = {
    **{key: value for key, value in os.environ.items() if not key.startswith("GIT_")},
    "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null", "LC_ALL": "C",
}  # fmt: skip


def person(name: str) -> str:
    """Everybody mails from an address of their own: Patchwork joins single patches of one sender by their dates."""
    return f"{name.title()} Kernel <{name}@example.org> {NOW} +0100"


def environment(name: str) -> dict[str, str]:
    who = {"GIT_COMMITTER_NAME": f"{name.title()} Kernel", "GIT_COMMITTER_EMAIL": f"{name}@example.org"}
    return {**_ENV, **who, "GIT_COMMITTER_DATE": f"{NOW} +0100"}


Wanted = dict[str, str]
"""What each of our contexts must say."""

FINE: Wanted = {"tree_selection": "success", "apply": "success"}


@dataclass(frozen=True)
class Edit:
    """In `path` the line `old` becomes `new`, once; with `anew` the file is only `new`."""

    path: str
    old: str
    new: str


@dataclass(frozen=True)
class Role:
    """A series to be made: its patches as a subject with edits, and its fate."""

    name: str
    tree: str
    patches: Sequence[tuple[str, Sequence[Edit]]]
    first: Wanted
    second: Wanted
    names: str = ""
    """The role whose title a conflict must name."""
    wild: bool = False
    """Made on a tree that nobody has."""


@dataclass(frozen=True)
class Made:
    """A series as mailed. `ids` are the patches' Message-Ids in order; `head` the commit it should become."""

    role: Role
    mails: tuple[bytes, ...]
    ids: tuple[str, ...]
    title: str
    head: str


_UDP, _DUMMY = "net/ipv4/udp.c", "drivers/net/dummy.c"
_SELFTESTS = "tools/testing/selftests/net"
_PREFIX = '#define pr_fmt(fmt) "UDP: " fmt\n'
_IGMP, _DEVICE = "#include <linux/igmp.h>\n", "#include <linux/inetdevice.h>\n"
_COUNT, _NAME = "static int numdummies = 1;\n", '#define DRV_NAME\t"dummy"\n'
_LOOPBACK = "Pseudo-driver for the loopback interface."
_WORKED = 'fprintf(stderr, "SUCCESS\\n");'
_BOUND = '\tfprintf(stderr, "Success\\n");\n\treturn 0;\n'

RED, MENDED = FINE | {"contest": "pending"}, FINE | {"contest": "success"}
CONFLICT = FINE | {"contest": "fail"}

ROLES: tuple[Role, ...] = (
    Role("good", "net-next", [
        ("udp: say which file it is", [Edit(_UDP, _PREFIX, _PREFIX.replace("UDP", "UDP4"))]),
        ("udp: sort two includes", [Edit(_UDP, _IGMP + _DEVICE, _DEVICE + _IGMP)]),
    ], RED, MENDED),
    Role("driver", "net-next", [
        ("net: dummy: note the number of devices", [Edit(_DUMMY, _COUNT, f"/* How many at load. */\n{_COUNT}")]),
        ("net: dummy: name the module", [Edit(_DUMMY, _NAME, f"/* Also the kind of its links. */\n{_NAME}")]),
        ("selftests: net: say that it worked", [
            Edit(f"{_SELFTESTS}/reuseport_dualstack.c", _WORKED, _WORKED.replace("SUCCESS", "SUCCESS, dual")),
        ]),
    ], RED, MENDED),
    Role("fix", "net", [
        ("net: loopback: correct a comment", [
            Edit("drivers/net/loopback.c", _LOOPBACK, _LOOPBACK.replace("interface", "device")),
        ]),
    ], RED, MENDED),
    Role("breaking", "net-next", [
        ("selftests: net: reuseaddr_conflict: end with a code", [
            Edit(f"{_SELFTESTS}/reuseaddr_conflict.c", _BOUND, _BOUND.replace("return 0", "return 1")),
        ]),
    ], RED, RED),
    Role("rival", "net-next", [
        ("udp: use the protocol's own name", [Edit(_UDP, _PREFIX, _PREFIX.replace("UDP", "UDP/IP"))]),
    ], CONFLICT, CONFLICT, names="good"),
    Role("wild", "net-next", [
        ("tcp: tidy what is not there", [Edit("net/ipv4/tcp.c", "", "int nobody(void)\n{\n\treturn 2;\n}\n")]),
    ], {"apply": "fail"}, {"apply": "fail"}, wild=True),
)  # fmt: skip


class Author:
    """Somebody's own repository, with the kernel's objects by reference."""

    def __init__(self, folder: Path, kernel: Path) -> None:
        self.path = bare(folder / "author.git", kernel)

    def git(self, *words: str, stdin: bytes = b"", who: str = "tree") -> bytes:
        ran = subprocess.run(
            ["git", *words], cwd=self.path, env=environment(who), input=stdin, capture_output=True, check=False
        )
        if ran.returncode:
            raise RuntimeError(f"git {words[0]}: {ran.stderr.decode(errors='replace')}")
        return ran.stdout

    def commit(self, parent: str, subject: str, files: dict[str, bytes], who: str = "tree") -> str:
        """A commit on `parent` with these files' new contents."""
        signed = person(who).rpartition(">")[0] + ">"
        text = f"{subject}\n\nMade for an acceptance run.\n\nSigned-off-by: {signed}\n".encode()
        ref, by = "refs/heads/work", person(who).encode()
        stream = b"commit %s\nauthor %s\ncommitter %s\n" % (ref.encode(), by, by)
        stream += b"data %d\n%sfrom %s\n" % (len(text), text, parent.encode())
        for path, data in files.items():
            stream += b"M 644 inline %s\ndata %d\n%s\n" % (path.encode(), len(data), data)
        self.git("fast-import", "--quiet", "--force", "--done", stdin=stream + b"done\n")
        return self.git("rev-parse", ref).decode().strip()

    def read(self, commit: str, path: str) -> bytes:
        return self.git("cat-file", "blob", f"{commit}:{path}")

    def edited(self, commit: str, edits: Sequence[Edit]) -> dict[str, bytes]:
        return {edit.path: replaced(self.read(commit, edit.path), edit) for edit in edits}

    def make(self, role: Role, base: str) -> Made:
        """The series' commits on `base`, and its mails."""
        at = (
            self.commit(base, "never published", {e.path: STRANGE for _, edits in role.patches for e in edits})
            if role.wild
            else base
        )
        head = at
        for subject, edits in role.patches:
            head = self.commit(head, subject, self.edited(head, edits), role.name)
        return self._mailed(role, at, head)

    def _mailed(self, role: Role, base: str, head: str) -> Made:
        cover = len(role.patches) > 1
        words = ["--cover-letter", "--cover-from-description=none"] if cover else ["--no-cover-letter"]
        with tempfile.TemporaryDirectory() as folder:
            self.git("format-patch", "--quiet", "--thread=shallow", f"--subject-prefix=PATCH {role.tree}", *words,
                     "--add-header=List-Id: <netdev.vger.kernel.org>", "--to=netdev@vger.kernel.org",
                     f"--output-directory={folder}", f"{base}..{head}", who=role.name)  # fmt: skip
            mails = [path.read_bytes() for path in sorted(Path(folder).iterdir())]
        title = role.patches[0][0]
        if cover:
            title = f"{role.name}: a series of {len(role.patches)}"
            mails[0] = mails[0].replace(b"*** SUBJECT HERE ***", title.encode()).replace(b"*** BLURB HERE ***", b"Why.")
        ids = tuple(message_id(mail) for mail in mails)
        return Made(role, tuple(mails), ids[cover:], title, head)


STRANGE = b"".join(b"int strange_%d;\n" % number for number in range(40))


def replaced(data: bytes, edit: Edit) -> bytes:
    if data == STRANGE:
        return STRANGE.replace(b"int strange_20;\n", edit.new.encode())
    old = edit.old.encode()
    if data.count(old) < 1:
        raise RuntimeError(f"{edit.path} has no {edit.old!r}: another kernel than linux-source-6.1?")
    return data.replace(old, edit.new.encode(), 1)


def message_id(mail: bytes) -> str:
    line = next(line for line in mail.splitlines() if line.lower().startswith(b"message-id:"))
    return line.split(b"<")[1].split(b">")[0].decode()


def bare(path: Path, kernel: Path) -> Path:
    """A bare repository that borrows the kernel's objects."""
    subprocess.run(
        ["git", "init", "--quiet", "--bare", "--template=", "--initial-branch=main", str(path)], env=_ENV, check=True
    )
    (path / "objects/info").mkdir(exist_ok=True)
    (path / "objects/info/alternates").write_text(f"{kernel / 'objects'}\n")
    return path
