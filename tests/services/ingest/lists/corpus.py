"""Threads as people send them, each with the series that a reader of the list would see in it.

A case is its mails and, for each series, a line: the ids of its letters (the cover letter's first), and the state where
it is not simply whole. Ids are written short: ``c``, ``1``, ``2`` of version 1, ``v2-1`` of version 2, and so on.
"""

import base64
import quopri
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.header import Header
from email.utils import format_datetime

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
CASES: dict[str, "Case"] = {}


@dataclass(frozen=True)
class Post:
    """One mail to be. `after` is seconds since noon; `diff` "" is none; `sender` "" is the case's own."""

    subject: str
    id: str
    parent: str = ""
    refs: tuple[str, ...] = ()
    after: float = 0
    diff: str | None = None
    body: str = "Why and how."
    sender: str = ""
    form: str = "plain"
    headers: str = ""
    date: str | None = None


@dataclass(frozen=True)
class Case:
    name: str
    posts: tuple[Post, ...]
    expected: tuple[str, ...]

    def mails(self) -> list[bytes]:
        """As they are delivered, ids and senders made the case's own."""
        return [_mail(self.name, post) for post in self.posts]


def case(name: str, posts: list[Post], *expected: str) -> None:
    assert name not in CASES, name
    CASES[name] = Case(name, tuple(posts), expected)


def full(case_name: str, id_: str) -> str:
    """The Message-Id of a short id."""
    return id_ if "@" in id_ else f"{id_}.{case_name}@example.org"


def a_diff(key: str) -> str:
    return (
        f"diff --git a/net/core/{key}.c b/net/core/{key}.c\nindex 1111111..2222222 100644\n--- a/net/core/{key}.c\n"
        f"+++ b/net/core/{key}.c\n@@ -1,2 +1,3 @@\n one\n+{key}\n two\n"
    )


def _mail(name: str, post: Post) -> bytes:
    sender = post.sender or f"Ann Author <ann.{name}@example.org>"
    diff = (
        a_diff(post.subject.partition("]")[0].rpartition(" ")[2].replace("/", "-") or "x")
        if post.diff is None
        else post.diff
    )
    tail = f"---\n one.c | 1 +\n\n{diff}-- \n2.39\n" if diff else ""
    text = f"{post.body}\n\nSigned-off-by: {sender}\n{tail}"
    refs = [*post.refs, *([post.parent] if post.parent else [])]
    lines = [f"From: {sender}", "To: netdev@vger.kernel.org"]
    lines += [f"Date: {format_datetime(NOON + timedelta(seconds=post.after)) if post.date is None else post.date}"]
    lines += [f"Message-Id: <{full(name, post.id)}>"] if post.id else []
    lines += [f"In-Reply-To: <{full(name, post.parent)}>"] if post.parent else []
    lines += ["References: " + "\n\t".join(f"<{full(name, ref)}>" for ref in refs)] if refs else []
    lines += [post.headers] if post.headers else []
    return _formed(post, lines, text)


def _formed(post: Post, lines: list[str], text: str) -> bytes:
    subject = f"Subject: {post.subject}"
    kind = "Content-Type: text/plain; charset=utf-8"
    match post.form:
        case "base64":
            body = base64.encodebytes(text.encode())
            return "\n".join([*lines, subject, kind, "Content-Transfer-Encoding: base64", "", ""]).encode() + body
        case "quoted":
            body = quopri.encodestring(text.encode())
            head = [*lines, subject, kind, "Content-Transfer-Encoding: quoted-printable", "", ""]
            return "\n".join(head).encode() + body
        case "encoded":
            words = Header(post.subject, "utf-8", maxlinelen=60, header_name="Subject").encode()
            return "\n".join([*lines, f"Subject: {words}", "", text]).encode()
        case "folded":
            folded = "\n ".join(post.subject.split(" "))
            return "\n".join([*lines, f"Subject: {folded}", "", text]).encode()
        case "attached":
            head = [
                *lines,
                subject,
                "MIME-Version: 1.0",
                'Content-Type: multipart/mixed; boundary="zz"',
                "",
                "--zz",
                kind,
                "",
            ]
            parts = [
                "See the attachment.",
                "--zz",
                'Content-Type: text/x-patch; name="a.patch"',
                "",
                text,
                "--zz--",
                "",
            ]
            return "\n".join([*head, *parts]).encode()
        case "html":
            return "\n".join([*lines, subject, "Content-Type: text/html", "", f"<pre>{text}</pre>"]).encode()
        case "crlf":
            return "\n".join([*lines, subject, "", text]).replace("\n", "\r\n").encode()
    return "\n".join([*lines, subject, "", text]).encode()


def series(
    total: int, *, prefix: str = "PATCH net-next", cover: bool = True, key: str = "", parent: str = "",
    style: str = "shallow", after: float = 0, title: str = "tcp: faster",
) -> list[Post]:  # fmt: skip
    """A series as `git send-email` mails it: `style` is shallow, deep, flat (all answer `parent`) or loose."""
    posts: list[Post] = []
    first = f"{key}c" if cover else f"{key}1"
    for number in range(0 if cover else 1, total + 1):
        id_ = f"{key}{number or 'c'}"
        above = parent
        if style == "shallow" and id_ != first:
            above = first
        elif style == "deep" and id_ != first:
            above = posts[-1].id
        elif style == "loose":
            above = ""
        subject = f"[{prefix} {number}/{total}] {title}{f', part {number}' if number else ''}"
        posts.append(Post(subject, id_, above, after=after + number, diff=None if number else ""))
    return posts


def _but(posts: list[Post], index: int, **changes: object) -> list[Post]:
    return [replace(post, **changes) if i == index else post for i, post in enumerate(posts)]  # type: ignore[arg-type]


case("single", [Post("[PATCH net] tcp: fix", "1")], "1")
case("single-1-of-1", [Post("[PATCH net 1/1] tcp: fix", "1")], "1")
case("single-with-cover", series(1), "c 1")
case("cover-and-three", series(3), "c 1 2 3")
case("no-cover", series(3, cover=False), "1 2 3")
case("deep-threads", series(4, style="deep"), "c 1 2 3 4")
case("deep-no-cover", series(3, cover=False, style="deep"), "1 2 3")
case("loose-with-cover", series(3, style="loose"), "c 1 2 3")
case("loose-no-cover", series(3, cover=False, style="loose"), "1 2 3")
case(
    "loose-twice-a-day-apart",
    series(2, cover=False, style="loose") + series(2, cover=False, style="loose", key="b", after=86400),
    "1 2",
    "b1 b2",
)
case("flat-into-another-thread", series(3, cover=False, style="flat", parent="elsewhere"), "1 2 3")
case(
    "v2-new-thread",
    series(2) + series(2, prefix="PATCH net-next v2", key="v2-", after=3600),
    "c 1 2 superseded",
    "v2-c v2-1 v2-2",
)
case(
    "v2-in-reply",
    series(2) + series(2, prefix="PATCH net-next v2", key="v2-", parent="c", after=3600),
    "c 1 2 superseded",
    "v2-c v2-1 v2-2",
)
case(
    "v2-in-reply-no-cover",
    series(2, cover=False) + series(2, prefix="PATCH v2", cover=False, key="v2-", parent="1", after=3600),
    "1 2 superseded",
    "v2-1 v2-2",
)
case(
    "v2-flat-into-v1",
    series(2) + series(2, prefix="PATCH v2", cover=False, style="flat", key="v2-", parent="c", after=3600),
    "c 1 2 superseded",
    "v2-1 v2-2",
)
case(
    "v2-renamed-in-reply",
    series(2) + series(2, prefix="PATCH v2", key="v2-", parent="c", title="udp: other words", after=9),
    "c 1 2 superseded",
    "v2-c v2-1 v2-2",
)
case(
    "v2-before-v1", series(2, prefix="PATCH v2", key="v2-") + series(2, after=-9), "c 1 2 superseded", "v2-c v2-1 v2-2"
)
case(
    "v2-larger",
    series(2) + series(4, prefix="PATCH v2", key="v2-", parent="c", after=9),
    "c 1 2 superseded",
    "v2-c v2-1 v2-2 v2-3 v2-4",
)
case("v3-skips-v2", series(2) + series(2, prefix="PATCH v3", key="v3-", after=9), "c 1 2 superseded", "v3-c v3-1 v3-2")
case(
    "three-versions",
    [p for n in (1, 2, 3) for p in series(1, cover=False, prefix=f"PATCH v{n}", key=f"v{n}-", after=n)],
    "v1-1 superseded",
    "v2-1 superseded",
    "v3-1",
)
case(
    "resend",
    series(2) + series(2, prefix="PATCH RESEND net-next", key="r", after=86400),
    "c 1 2 superseded",
    "rc r1 r2",
)
case("repost-as-it-was", series(2) + series(2, key="again", after=86400), "c 1 2", "againc again1 again2")
case("repost-in-reply", series(2) + series(2, key="again", parent="c", after=86400), "c 1 2", "againc again1 again2")
case(
    "repost-no-cover-in-reply",
    series(2, cover=False) + series(2, cover=False, key="again", parent="1", after=86400),
    "1 2",
    "again1 again2",
)
case("rfc", series(2, prefix="RFC PATCH net-next"), "c 1 2")
case(
    "rfc-then-patch",
    series(2, prefix="RFC PATCH", key="rfc") + series(2, prefix="PATCH v2", key="v2-", after=9),
    "rfcc rfc1 rfc2 superseded",
    "v2-c v2-1 v2-2",
)
case("rfc-glued", series(2, prefix="RFCv2"), "c 1 2")
case(
    "tree-behind-the-count",
    [Post("[PATCH 1/2 net-next] a: b", "1"), Post("[PATCH 2/2 net-next] a: c", "2", "1")],
    "1 2",
)
case(
    "tree-in-its-own-bracket",
    [Post("[net-next] [PATCH v2 1/2] a: b", "1"), Post("[net-next] [PATCH v2 2/2] a: c", "2", "1")],
    "1 2",
)
case("commas", [Post("[net-next,v3,1/2] a: b", "1"), Post("[net-next,v3,2/2] a: c", "2", "1")], "1 2")
case("padded-counts", [Post("[PATCH 01/02] a: b", "1"), Post("[PATCH 02/02] a: c", "2", "1")], "1 2")
case("no-brackets-no-patch", [Post("hello, all", "1", diff="")])
case("no-brackets-with-diff", [Post("fix it please", "1")], "1")
case("missing-2", [p for p in series(3) if p.id != "2"], "c 1 3 incomplete")
case("only-the-cover", series(3)[:1], "c incomplete")
case("only-the-last", series(3, cover=False)[2:], "3 incomplete")
case("cover-lost", series(3)[1:], "1 2 3")
case("late-patch", _but(series(3), 2, after=7200), "c 1 2 3")
case(
    "lost-and-sent-alone",
    [*(p for p in series(3) if p.id != "2"), Post("[PATCH net-next 2/3] tcp: faster, part 2", "late", after=9000)],
    "c 1 late 3",
)
case(
    "one-sent-twice", [*series(3), Post("[PATCH net-next 2/3] tcp: faster, part 2", "again", "c", after=60)], "c 1 2 3"
)
case(
    "one-sent-twice-loose", [*series(3), Post("[PATCH net-next 2/3] tcp: faster, part 2", "again", after=60)], "c 1 2 3"
)
case(
    "one-changed-under-its-number",
    [*series(3), Post("[PATCH net-next 2/3] tcp: faster, part 2", "new", "c", after=60, diff=a_diff("other"))],
    "c 1 2 3",
)
case("delivered-twice", [*series(2), *series(2)], "c 1 2")
case("two-with-one-id", [Post("[PATCH 1/2] a: b", "1"), Post("[PATCH 2/2] a: c", "1", after=1)], "1 1")
case(
    "single-with-a-used-id", [Post("[PATCH] a: b", "1"), Post("[PATCH] a: other", "1", after=5, diff=a_diff("z"))], "1"
)
case(
    "cover-counts-wrongly",
    [
        Post("[PATCH 0/3] a: all", "c", diff=""),
        *(Post(f"[PATCH {n}/4] a: {n}", str(n), "c", after=n) for n in range(1, 5)),
    ],
    "c 1 2 3 4",
)
case("numbered-over-the-total", [Post("[PATCH 1/2] a: b", "1"), Post("[PATCH 3/2] a: c", "3", "1")], "1 3 incomplete")
case("base64", [replace(post, form="base64") for post in series(2)], "c 1 2")
case("quoted-printable", [replace(post, form="quoted") for post in series(2)], "c 1 2")
case(
    "encoded-subjects",
    [
        replace(
            post, form="encoded", subject=post.subject.replace("faster", "schneller für alle, früher und später auch")
        )
        for post in series(2)
    ],
    "c 1 2",
)
case("folded-subjects", [replace(post, form="folded") for post in series(2)], "c 1 2")
case("attached", [replace(post, form="attached") for post in series(2, cover=False)], "1 2")
case("crlf", [replace(post, form="crlf") for post in series(2)], "c 1 2")
case("html-only", [Post("[PATCH net] a: b", "1", form="html")])
case("no-message-ids", [replace(post, id="", parent="") for post in series(2, cover=False, style="loose")], "? ?")
case(
    "clock-years-ahead",
    [replace(post, date="Fri, 01 Jan 2038 00:00:00 +0000") for post in series(3, cover=False, style="loose")],
    "1 2 3",
)
case("no-dates", [replace(post, date="") for post in series(2)], "c 1 2")
case("no-dates-loose", [replace(post, date="soon") for post in series(2, cover=False, style="loose")], "1 2")
case("dates-backwards", [replace(post, after=-post.after) for post in series(3)], "c 1 2 3")
case(
    "family-only",
    [Post(f"[PATCH {n}/3] a: {n}", f"20261120.77-{n}-ann@family-only", after=n * 5000) for n in (1, 2, 3)],
    "20261120.77-1-ann@family-only 20261120.77-2-ann@family-only 20261120.77-3-ann@family-only",
)
case(
    "two-series-at-once-loose",
    [Post(f"[PATCH {n}/2] {t}: {n}", f"20261120.{t}-{n}-ann@at-once", after=n) for t in "ab" for n in (1, 2)],
    "20261120.a-1-ann@at-once 20261120.a-2-ann@at-once",
    "20261120.b-1-ann@at-once 20261120.b-2-ann@at-once",
)
case(
    "two-sizes-at-once-loose",
    series(2, cover=False, style="loose") + series(3, cover=False, style="loose", key="b"),
    "1 2",
    "b1 b2 b3",
)
case(
    "two-in-one-thread",
    series(2, parent="talk", cover=True) + series(3, key="b", parent="talk"),
    "c 1 2",
    "bc b1 b2 b3",
)
case(
    "replies",
    [
        *series(2),
        Post("Re: [PATCH net-next 1/2] tcp: faster, part 1", "r", "1", diff="", body="Reviewed-by: R <r@x.org>"),
    ],
    "c 1 2",
)
case("reply-with-a-diff", [*series(1), Post("Re: [PATCH net-next 1/1] tcp: faster", "r", "1")], "c 1")
case("reply-in-german", [*series(1), Post("AW: [PATCH net-next 1/1] tcp: faster", "r", "1")], "c 1")
case(
    "patch-in-reply-to-a-report",
    [Post("BUG: it crashes", "bug", diff=""), Post("[PATCH net] tcp: do not crash", "1", "bug")],
    "1",
)
case(
    "pull",
    [
        Post(
            "[GIT PULL] Networking for v6.8-rc1",
            "p",
            diff="",
            body="The following changes since commit 0123456789ab:\n\n"
            "are available in the Git repository at:\n\n  https://git.example.org/net.git tags/net-6.8\n\nfor you",
        )
    ],
    "p",
)
case(
    "pull-of-one-line",
    [
        Post(
            "[PULL] net",
            "p",
            diff="",
            body="The following changes since commit 0:\n\n"
            "are available in the git repository at: git://git.example.org/net.git for-linus",
        )
    ],
    "p",
)
case("pull-that-asks-nothing", [Post("[GIT PULL] again?", "p", diff="", body="Any news?")])
case("huge", series(120), " ".join(["c", *(str(n) for n in range(1, 121))]))
case(
    "huge-but-two",
    [p for p in series(60, cover=False) if p.id not in ("7", "8")],
    " ".join(str(n) for n in range(1, 61) if n not in (7, 8)) + " incomplete",
)
case("by-several-senders", _but(series(3), 2, sender="Bob <bob@example.org>"), "c 1 2 3")
case("sent-for-another", _but(series(2), 1, body="From: Bob <bob@example.org>\n\nWhy."), "c 1 2")
case("no-diff-in-one", _but(series(2), 2, diff=""), "c 1 2")
case("mbox-quoting", _but(series(2), 1, body="From now on it is faster.\nFrom here, too."), "c 1 2")
case("empty-subject", [Post("", "1")], "1")
case(
    "quoted-cover",
    [*series(2), Post("Re: [PATCH net-next 0/2] tcp: faster", "r", "c", diff="", body="> 0/2 is fine")],
    "c 1 2",
)
case(
    "hostile-id",
    [Post("[PATCH 1/2] a: b", "1"), Post("[PATCH 2/2] a: c", "2", "1", headers="X-Odd: \x00\x1b[31m")],
    "1 2",
)


case(
    "cover-lost-odd-ids",
    [Post(f"[PATCH {n}/3] a: {n}", f"550e-{n * 1111}-a7@odd", "elsewhere", after=n) for n in (1, 2, 3)],
    "550e-1111-a7@odd 550e-2222-a7@odd 550e-3333-a7@odd",
)
case(
    "two-in-one-thread-covers-lost",
    [Post(f"[PATCH {n}/2] {t}: {n}", f"77-{t}-{n}-a@lost", "elsewhere", after=n) for t in "ab" for n in (1, 2)],
    "77-a-1-a@lost 77-a-2-a@lost",
    "77-b-1-a@lost 77-b-2-a@lost",
)


def every_case() -> Iterator[Case]:
    yield from CASES.values()
