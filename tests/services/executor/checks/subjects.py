"""Series to look at, without a tree: what checks that read mails are asked about."""

from email.message import EmailMessage

from services.executor.checks.base import Patch, Subject
from shared.formats.diff import changes
from shared.formats.mbox import parse_mail
from shared.model.ids import Sha
from shared.model.mails import Mail

SIGNED = "Why.\n\nSigned-off-by: Ada Byrd <ada@byrd.example>"
DIFF = "diff --git a/{0} b/{0}\n--- a/{0}\n+++ b/{0}\n@@ -1 +1 @@\n-a\n+b\n"
NEW = "diff --git a/{0} b/{0}\nnew file mode 100644\n--- /dev/null\n+++ b/{0}\n@@ -0,0 +1 @@\n+b\n"
GONE = "diff --git a/{0} b/{0}\ndeleted file mode 100644\n--- a/{0}\n+++ /dev/null\n@@ -1 +0,0 @@\n-b\n"
MOVED = "diff --git a/{0} b/{1}\nsimilarity index 100%\nrename from {0}\nrename to {1}\n"


def a_mail(message: str = "Why.\n\nSigned-off-by: Ada Byrd <ada@byrd.example>", diff: str = "", **headers: str) -> Mail:
    """`headers` by name, ``_`` for ``-``."""
    mail = EmailMessage()
    facts = {"From": "Ada Byrd <ada@byrd.example>", "Subject": "[PATCH net-next] net: x", "Message-Id": "<1@x>"}
    facts |= {"Date": "Mon, 23 Nov 2026 09:00:00 +0000"}
    facts |= {key.title().replace("_", "-"): value for key, value in headers.items()}
    for key, value in facts.items():
        mail[key] = value
    mail.set_content(f"{message}\n---\n\n{diff or DIFF.format('net/x.c')}")
    return parse_mail(mail.as_bytes())


def a_patch(number: int = 1, *, message: str = SIGNED, diff: str = "", **headers: str) -> Patch:
    mail = a_mail(message, diff, **headers)
    return Patch(number, mail, changes(mail.diff), Sha("1" * 40), Sha("0" * 40))


def a_series(*patches: Patch, **facts: object) -> Subject:
    return Subject("netdev", "net: x", patches or (a_patch(),), base=Sha("0" * 40), **facts)  # type: ignore[arg-type]
