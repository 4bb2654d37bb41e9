"""The series in a heap of mails."""

import pytest

from services.executor.local.thread import letters
from shared.errors import Refused

DIFF = "diff --git a/a.c b/a.c\n--- a/a.c\n+++ b/a.c\n@@ -1 +1 @@\n-a\n+b\n"


def mail(subject: str, diff: str = DIFF) -> bytes:
    return f"Message-Id: <{abs(hash(subject))}@x>\nFrom: A <a@x>\nSubject: {subject}\n\nWhy.\n---\n{diff}".encode()


def titles(*raw: bytes) -> list[str]:
    return [one.subject.title for one in letters(raw).patches]


def test_by_number_whatever_the_order() -> None:
    cover = mail("[PATCH 0/2] all", "")
    found = letters([mail("[PATCH 2/2] two"), cover, mail("[PATCH 1/2] one")])
    assert [one.subject.title for one in found.patches] == ["one", "two"]
    assert found.cover is not None
    assert found.cover.subject.title == "all"


def test_of_a_thread_the_newest_version_without_replies() -> None:
    thread = [
        mail("[PATCH 0/1] old", ""), mail("[PATCH 1/1] old one"), mail("Re: [PATCH 1/1] old one"),
        mail("[PATCH v2 0/1] new", ""), mail("[PATCH v2 1/1] new one"), mail("Re: [PATCH v2 1/1] new one"),
    ]  # fmt: skip
    found = letters(thread)
    assert [one.subject.title for one in found.patches] == ["new one"]
    assert found.cover is not None
    assert found.cover.subject.title == "new"
    assert (found.version, found.older) == (2, (1,))


def test_mails_without_numbers_as_they_came() -> None:
    assert titles(mail("[PATCH] b"), mail("[PATCH] a")) == ["b", "a"]


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        ([], "there is no patch"),
        ([mail("hello", "")], "there is no patch"),
        ([mail("Re: [PATCH] a")], "there is no patch"),
        ([mail("[PATCH 1/3] a"), mail("[PATCH 3/3] c")], "missing: 2"),
        ([mail("[PATCH 1/1] a"), mail("[PATCH 1/1] b")], "twice"),
    ],
)
def test_what_is_no_whole_series_is_refused(raw: list[bytes], why: str) -> None:
    with pytest.raises(Refused, match=why):
        letters(raw)
