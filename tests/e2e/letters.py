"""Mails that a stranger might send: each a series of its own, from somebody nobody knows."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

from shared.practice.people import LIST, LIST_ID

_FIRST = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
GOOD_FILE = "net/core/dev.c"


@dataclass(frozen=True, slots=True)
class Hostile:
    """A series of a stranger: what it is called, the diffs of its patches, and what the page must say of it.

    `says` is a regular expression for the reason on the series page; "" where the series is harmless as taken.
    """

    name: str
    diffs: tuple[str, ...]
    says: str
    subject: str = ""
    version: str = ""
    headers: tuple[str, ...] = ()
    body: str = "Trust me."
    total: int = 0
    """What the subject claims; 0 is the truth."""
    raw: dict[bytes, bytes] = field(default_factory=dict)
    """Bytes put in place of others in every mail."""

    @property
    def message_ids(self) -> tuple[str, ...]:
        return tuple(f"{self.name}-{number}@eve.example" for number in range(1, len(self.diffs) + 1))

    def mails(self, nth: int) -> list[bytes]:
        """Its mails; `nth` sets it apart in time from the others."""
        date = _FIRST + timedelta(minutes=3 * nth)
        return [self._mail(number, diff, date) for number, diff in enumerate(self.diffs, 1)]

    def _mail(self, number: int, diff: str, date: datetime) -> bytes:
        total = self.total or len(self.diffs)
        counted = f" {number}/{total}" if total > 1 else ""
        head = [
            f"From: Eve {self.name} <eve-{self.name}@eve.example>",
            f"Subject: [PATCH net-next{self.version}{counted}] {self.subject or f'net: {self.name}'}",
            f"To: {LIST.email}",
            f"Date: {format_datetime(date + timedelta(seconds=number))}",
            f"Message-Id: <{self.message_ids[number - 1]}>",
            *([f"In-Reply-To: <{self.message_ids[0]}>", f"References: <{self.message_ids[0]}>"] if number > 1 else []),
            "MIME-Version: 1.0", "Content-Type: text/plain; charset=UTF-8", "Content-Transfer-Encoding: 8bit",
            f"List-Id: <{LIST_ID}>", *self.headers,
        ]  # fmt: skip
        text = f"{self.body}\n\nSigned-off-by: Eve <eve@eve.example>\n---\n\n{diff}"
        mail = ("\n".join(head) + "\n\n" + text).encode("utf-8", "surrogateescape")
        for old, new in self.raw.items():
            mail = mail.replace(old, new)
        return mail


def adds(path: str, text: str = "owned", mode: str = "100644", old: str = "a/", new: str = "b/") -> str:
    """A diff that makes the file `path`."""
    return (
        f"diff --git {old}{path} {new}{path}\nnew file mode {mode}\nindex 0000000..e69de29\n"
        f"--- /dev/null\n+++ {new}{path}\n@@ -0,0 +1 @@\n+{text}\n-- \n2.43.0\n"
    )


def changes(line: str = "\treturn 2;", path: str = GOOD_FILE, hunk: str = "@@ -2,5 +2,5 @@", end: str = "\n") -> str:
    """A diff that fits the practice tree's net/core/dev.c, unless told otherwise."""
    lines = [
        f"diff --git a/{path} b/{path}", "index 1111111..2222222 100644", f"--- a/{path}", f"+++ b/{path}", hunk,
        " ", " int netdev_features(void)", " {", "-\treturn 1;", f"+{line}", " }",
    ]  # fmt: skip
    return end.join(lines) + end + "-- \n2.43.0\n"


def pull(name: str) -> bytes:
    """A pull request with a harmless address, which is replaced where it is stored: Patchwork would not find the
    worse ones in a mail, and we don't trust Patchwork."""
    head = [
        f"From: Eve {name} <eve-{name}@eve.example>", f"Subject: [GIT PULL net-next] {name}", f"To: {LIST.email}",
        f"Date: {format_datetime(_FIRST)}", f"Message-Id: <{name}@eve.example>", f"List-Id: <{LIST_ID}>",
        "MIME-Version: 1.0", "Content-Type: text/plain; charset=UTF-8",
    ]  # fmt: skip
    text = (
        "The following changes since commit 1111111111111111111111111111111111111111:\n\n"
        "  net: something (2026-11-20 08:00:00 +0000)\n\nare available in the Git repository at:\n\n"
        "  https://git.kernel.org/pub/scm/linux/kernel/git/eve/net.git tags/net-1\n\n"
        "for you to fetch changes up to 2222222222222222222222222222222222222222:\n\n  net: more (2026-11-20)\n"
    )
    return ("\n".join(head) + "\n\n" + text).encode()
