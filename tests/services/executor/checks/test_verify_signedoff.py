"""Sign-offs of mails and of what git log says of pulled commits."""

import pytest

from services.executor.checks.verify_signedoff import of_log, of_mail, said
from shared.formats.mailmap import mailmap
from tests.services.executor.checks.subjects import a_patch

KNOWN = mailmap("Ada Byrd <ada@byrd.example> <ada@old.example>\n")
GOOD = "Signed-off-by tag matches author and committer"


@pytest.mark.parametrize(
    ("message", "state", "text"),
    [
        ("Signed-off-by: Ada Byrd <ada@byrd.example>", "success", GOOD),
        ("Signed-off-by: A. B. <ADA@byrd.example>", "success", GOOD),
        ("signed-off-by:Ada Byrd <somewhere@else.example>", "success", GOOD),
        ("Signed-off-by: A. B. <ada@old.example>", "success", GOOD),
        ("Signed-off-by: x <x@x>\nSigned-off-by: ada byrd <x@x>", "success", GOOD),
        ("From: Zoë <zoe@x.example>\n\nSigned-off-by: Zoë <zoe@x.example>", "success", GOOD),
        ("From: Zoë <zoe@x.example>\n\nSigned-off-by: Ada Byrd <ada@byrd.example>", "fail",
         "author Signed-off-by missing"),
        ("Acked-by: Ada Byrd <ada@byrd.example>", "fail", "author Signed-off-by missing"),
        ("Signed-off-by: Ada Byrdson <x@x>", "fail", "author Signed-off-by missing"),
        ("Why.", "fail", "author Signed-off-by missing"),
    ],
)  # fmt: skip
def test_of_mail(message: str, state: str, text: str) -> None:
    answer = said([of_mail(a_patch(message=message))], KNOWN, "")
    assert (answer.state, answer.text) == (state, text)


def record(title: str, author: str, committer: str, *signers: str) -> str:
    signed = "".join(f"Signed-off-by: {who}\n" for who in signers)
    return f"{'a' * 40}\0{title}\0{author}\0{committer}\0{title}\n\n{signed}\0"


def test_of_log() -> None:
    ada, zoe = "Ada Byrd <ada@byrd.example>", "Zoë Ångström <zoe@fjord.example>"
    log = record("good", ada, zoe, ada, zoe) + record("no committer", ada, zoe, ada) + record("none", ada, zoe)
    answer = said(of_log(log), KNOWN, "")
    assert answer.text == "committer Signed-off-by missing; author Signed-off-by missing in 2 of 3 commits"
    assert [finding.text for finding in answer.findings] == [
        f'committer Signed-off-by missing: {zoe} in aaaaaaaaaaaa ("no committer")',
        f'author Signed-off-by missing: {ada} in aaaaaaaaaaaa ("none")',
        f'committer Signed-off-by missing: {zoe} in aaaaaaaaaaaa ("none")',
    ]


def test_a_title_is_no_end_of_a_record() -> None:
    ada = "Ada Byrd <ada@byrd.example>"
    answer = said(of_log(record("bad \x01 one", ada, ada) + record("good", ada, ada, ada)), KNOWN, "")
    assert (answer.state, len(answer.findings)) == ("fail", 2)


@pytest.mark.parametrize("log", ["x", "a\0b\0c\0d\0e\0", f"{'a' * 40}\0t\0", record("t", "a", "c")[:-1]])
def test_a_record_that_is_odd(log: str) -> None:
    with pytest.raises(ValueError, match="record"):
        of_log(log)


def test_nothing_pulled() -> None:
    answer = said(of_log(""), KNOWN, "")
    assert (answer.state, answer.text) == ("warning", "No commits to look at")


def test_more_commits_than_are_looked_at() -> None:
    ada = "Ada Byrd <ada@byrd.example>"
    answer = said(of_log(record("good", ada, ada, ada) * 501), KNOWN, "")
    assert (answer.state, answer.text) == ("warning", "More than 500 commits, the rest was not looked at")
    assert said(of_log(record("good", ada, ada, ada) * 500), KNOWN, "").state == "success"
