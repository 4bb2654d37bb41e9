"""How fast an archive of a list is read and its series are found, against merely reading the same mails.

20,000 mails as on a busy list: series of one to twelve patches with cover letters, second versions, and more talk than
patches. Ours reads them from a public-inbox repository in batches, keeps what threads need, and finds the series of
all. The peer is Python's own: `mailbox.mbox`, and of each mail its subject, its ids and its decoded text. Nothing is
stored in either.
"""

import asyncio
import json
import mailbox
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from services.ingest.lists.inbox import Inbox
from services.ingest.lists.letters import Letter, letter
from services.ingest.lists.threads import gather
from shared.formats.mbox import parse_mail
from tests.services.ingest.lists.archives import archive

T = TypeVar("T")

_MAILS = 20_000
_ROUNDS = 3
_PROSE = "the of socket queue buffer when packet lock is held under memory pressure and then driver resets it"
_WORDS = _PROSE.split()


def some_mails(count: int, seed: int = 1) -> list[bytes]:
    """Mails of a list in the order of delivery."""
    rng = random.Random(seed)
    mails: list[bytes] = []
    thread = 0
    while len(mails) < count:
        thread += 1
        mails += _thread(rng, thread)
    return mails[:count]


def _thread(rng: random.Random, thread: int) -> list[bytes]:
    patches = rng.choice((1, 1, 1, 2, 3, 3, 5, 12))
    author = f"Author {thread % 300} <author{thread % 300}@example.org>"
    mails = []
    for version in range(1, rng.choice((1, 1, 2)) + 1):
        prefix = f"PATCH net-next{'' if version == 1 else f' v{version}'}"
        key = f"202611{thread:06}.{version}"
        first = f"{key}-{0 if patches > 1 else 1}-a@example.org"
        if patches > 1:
            mails.append(_mail(f"[{prefix} 0/{patches}] net: topic {thread}", first, "", author, _prose(rng, 20)))
        for number in range(1, patches + 1):
            count = f" {number}/{patches}" if patches > 1 else ""
            above = first if patches > 1 else ""
            text = f"{_prose(rng, 6)}\n\nSigned-off-by: {author}\n---\n{_diff(rng, thread)}"
            id_ = f"{key}-{number}-a@example.org"
            mails.append(_mail(f"[{prefix}{count}] net: part {number} of {thread}", id_, above, author, text))
            for reply in range(rng.choice((0, 1, 1, 2, 3))):
                by = f"Reviewer {reply} <reviewer{reply}@example.org>"
                said = f"{_quoted(text)}\n\n{_prose(rng, 4)}\n\nReviewed-by: {by}\n"
                mails.append(_mail(f"Re: [{prefix}{count}] net: part", f"r{reply}.{id_}", id_, by, said))
    return mails


def _mail(subject: str, id_: str, above: str, author: str, text: str) -> bytes:
    head = "".join(
        f"Received: from mx{n}.example.org by list.example.org; Fri, 20 Nov 2026 12:00:00 +0000\n" for n in range(6)
    )
    refs = f"In-Reply-To: <{above}>\nReferences: <{above}>\n" if above else ""
    return (
        f"{head}From: {author}\nTo: netdev@vger.kernel.org\nCc: a@example.org, b@example.org,\n c@example.org\n"
        f"Subject: {subject}\nDate: Fri, 20 Nov 2026 12:00:00 +0000\nMessage-Id: <{id_}>\n{refs}"
        f"Content-Type: text/plain; charset=utf-8\n\n{text}"
    ).encode()


def _prose(rng: random.Random, lines: int) -> str:
    return "\n".join(" ".join(rng.choices(_WORDS, k=11)) for _ in range(lines))


def _quoted(text: str) -> str:
    return "\n".join(f"> {line}" for line in text.splitlines()[:60])


def _diff(rng: random.Random, thread: int) -> str:
    lines = rng.choice((10, 30, 60, 200))
    added = "\n".join(f"+\tif ({word}) return {n};" for n, word in enumerate(rng.choices(_WORDS, k=lines)))
    file = f"drivers/net/topic{thread}.c"
    head = f"diff --git a/{file} b/{file}\n--- a/{file}\n+++ b/{file}\n"
    return f"{head}@@ -1,2 +1,{lines + 2} @@\n one\n{added}\n two\n-- \n2.39\n"


def by_python(box: Path) -> int:
    """The peer."""
    read = 0
    for mail in mailbox.mbox(box, create=False):
        said = [mail["Subject"], mail["Message-Id"], mail["In-Reply-To"], mail["References"]]
        texts = [part.get_payload(decode=True) for part in mail.walk() if part.get_content_maintype() == "text"]
        read += bool(said and texts)
    return read


async def by_netci(path: Path) -> tuple[int, int]:
    """Mails and series."""
    letters: list[Letter] = []
    async for batch in Inbox(path).batches():
        letters += [letter(parse_mail(posted.raw)) for posted in batch.mails if posted.raw is not None]
    return len(letters), sum(thread.complete for thread in gather(letters))


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="netci-bench-") as folder:
        mails = some_mails(_MAILS)
        path, box = archive(Path(folder) / "0.git", list(mails)), Path(folder) / "box"
        with box.open("wb") as file:
            for mail in mails:
                file.write(b"From list@example.org Fri Nov 20 12:00:00 2026\n" + mail + b"\n\n")
        size = sum(map(len, mails))
        del mails
        ours, theirs, found = [], [], (0, 0)
        for _ in range(_ROUNDS):
            took, found = _timed(lambda: asyncio.run(by_netci(path)))
            ours.append(took)
            took, read = _timed(lambda: by_python(box))
            theirs.append(took)
            assert read == found[0] == _MAILS, (read, found)
    mine, peer = statistics.median(ours), statistics.median(theirs)
    print(
        f"{_MAILS} mails of {size / _MAILS / 1000:.1f} kB, {found[1]} whole series: {_MAILS / mine:.0f} mails a second"
    )
    print(json.dumps({"bench": "mail", "ours": round(mine, 2), "peer": round(peer, 2), "ratio": round(mine / peer, 2),
                      "unit": "s", "mails": _MAILS, "series": found[1]}))  # fmt: skip


def _timed(act: Callable[[], T]) -> tuple[float, T]:
    begin = time.perf_counter()
    done = act()
    return time.perf_counter() - begin, done
