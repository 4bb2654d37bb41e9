"""Mails for tests: short, but whole."""

from __future__ import annotations

LIST = "netdev.vger.kernel.org"
DIFF = "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n"


def a_mail(
    subject: str = "[PATCH net] x: fix it",
    msgid: str = "1@example.org",
    *,
    reply_to: str = "",
    sender: str = "A Dev <dev@example.org>",
    date: str = "Mon, 23 Nov 2026 09:00:00 +0000",
    text: str = "It was broken.\n\nSigned-off-by: A Dev <dev@example.org>\n---\n x | 2 +-\n\n",
    diff: str = DIFF,
    more: str = "",
) -> bytes:
    parent = f"In-Reply-To: <{reply_to}>\nReferences: <{reply_to}>\n" if reply_to else ""
    head = f"From: {sender}\nSubject: {subject}\nMessage-Id: <{msgid}>\nDate: {date}\nList-Id: <{LIST}>\n{parent}{more}"
    return f"{head}\n{text}{diff}".encode()


def a_cover(total: int, msgid: str = "cover@example.org", *, version: str = "", reply_to: str = "") -> bytes:
    subject = f"[PATCH net-next{version} 0/{total}] things"
    return a_mail(subject, msgid, reply_to=reply_to, text="What they do.\n", diff="")


def a_part(number: int, total: int, *, reply_to: str = "cover@example.org", version: str = "") -> bytes:
    subject = f"[PATCH net-next{version} {number}/{total}] x: part {number}"
    return a_mail(subject, f"{number}{version.strip()}@example.org", reply_to=reply_to)


def a_series(total: int) -> list[bytes]:
    """Cover letter first, then the patches by number."""
    return [a_cover(total), *(a_part(number, total) for number in range(1, total + 1))]
