"""Mails and mailboxes: the recorded ones with the facts that others build on, and hostile ones."""

import base64
import json
import quopri
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import Refused
from shared.formats.mbox import parse_date, parse_mail, parse_person, split_mbox
from shared.formats.trailers import fixes, message_of
from shared.model.mails import Mail, Person

FOLDER = Path(__file__).parents[2] / "golden" / "patchwork"
MAILBOXES = sorted((FOLDER / "mbox").glob("*.mbox"))


DIFF = b"diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+caf\xc3\xa9=\n-- \n2.39\n"


def mails(name: str) -> list[Mail]:
    return [parse_mail(raw) for raw in split_mbox((FOLDER / "mbox" / f"{name}.mbox").read_bytes())]


def a_mail(body: bytes = b"text\n", **headers: str) -> bytes:
    fields = {"Message_Id": "<1@x>", "From": "A B <a@x>", "Subject": "[PATCH net] t", **headers}
    lines = [f"{name.replace('_', '-')}: {value}".encode("utf-8", "surrogateescape") for name, value in fields.items()]
    return b"\n".join(lines) + b"\n\n" + body


# Recorded mailboxes.


@pytest.mark.parametrize("path", MAILBOXES, ids=lambda path: path.stem)
def test_recorded_mailbox_parses_whole(path: Path) -> None:
    raw = path.read_bytes()
    found = [parse_mail(mail) for mail in split_mbox(raw)]
    assert len(found) == raw.count(b"From mboxrd@z ")
    assert sum(bool(mail.message_id) for mail in found) == raw.lower().count(b"\nmessage-id:")
    assert sum("diff --git" in mail.diff for mail in found) == sum(b"\ndiff --git" in mail for mail in split_mbox(raw))


def test_there_are_as_many_mailboxes_as_were_recorded() -> None:
    assert len(MAILBOXES) == 34


@pytest.mark.parametrize(
    ("name", "version", "numbers", "total"),
    [
        ("02-series5-cover", 1, [0, 1, 2, 3, 4, 5], 5),
        ("04-v2-new-thread", 2, [0, 1, 2, 3, 4, 5, 6], 6),
        ("08-out-of-order", 1, [3, 1, 0, 4, 2], 4),
        ("09-incomplete", 1, [0, 1, 2, 4, 5, 7], 7),
        ("16-extra-5of4", 1, [0, 1, 2, 3, 4, 5], 4),
        ("27-same-date", 1, [3, 1, 4, 2], 4),
    ],
)
def test_recorded_numbers(name: str, version: int, numbers: list[int], total: int) -> None:
    found = [mail.subject for mail in mails(name)]
    assert [subject.number for subject in found] == numbers
    assert {(subject.version, subject.total) for subject in found} == {(version, total)}


def test_recorded_threads() -> None:
    cover, *patches = mails("06-v2-in-reply")
    assert cover.in_reply_to == cover.message_id, "recorded so: a mail may answer itself"
    assert {patch.in_reply_to for patch in patches} == {cover.message_id}
    first, second = mails("02-series5-cover")[:2]
    assert (first.in_reply_to, first.references) == ("", ())
    assert (second.in_reply_to, second.references) == (first.message_id, (first.message_id,))


def test_recorded_authors_beyond_ascii() -> None:
    assert str(mails("01-single-utf8")[0].author) == "Alexis Lothoré <alexis.lothore@bootlin.com>"
    names = [mail.author.name for mail in mails("14-utf8")]
    assert names == ["Lương Việt Hoàng", "Toke Høiland-Jørgensen", "Christian Göttsche"]


def test_recorded_author_in_the_body_wins() -> None:
    assert [mail.author.name for mail in mails("13-rfc")][2:4] == ["Jacob Keller"] * 2


def test_recorded_flags() -> None:
    assert all(mail.subject.rfc for mail in mails("13-rfc"))
    assert all(mail.subject.reply for mail in mails("12-replies"))
    assert mails("10-pull-request")[0].subject.pull
    assert not mails("23c-diff-in-reply")[0].subject.reply


def test_recorded_malformed_mails_give_what_can_be_had() -> None:
    _, _, _, no_id, no_from, html, no_diff, charset = mails("15-malformed")
    assert no_id.message_id == ""
    assert no_from.author == Person("", "")
    assert (html.body, html.diff) == ("", "")
    assert (no_diff.body, no_diff.diff) == ("words only\n", "")
    # One byte that its charset does not allow: Patchwork drops such a mail, we read it.
    assert charset.author.name == "Michal Koutný"
    assert charset.diff.startswith("diff --git ")


def test_recorded_dates() -> None:
    future, past, broken, absent, zone = (mail.date for mail in mails("21-dates"))
    assert future == datetime(2038, 1, 1, tzinfo=UTC)
    assert past == datetime(1998, 1, 1, tzinfo=UTC)
    assert broken is absent is None
    assert zone is not None
    assert zone.utcoffset() == timedelta(hours=9)


def test_recorded_fixes_name_commits() -> None:
    (mail,) = mails("20a-crosspost")
    assert [trailer.key for trailer in mail.trailers] == ["Fixes", "Signed-off-by", "Acked-by", "Signed-off-by"]
    ((sha, title),) = fixes(mail.trailers)
    assert len(sha) == 12
    assert title.startswith("devlink")


def test_recorded_message_id_with_slash_and_percent() -> None:
    assert mails("24-trees")[-1].message_id.startswith("a/b%c+d=")


def test_series_mailbox_of_patchwork() -> None:
    text = json.loads((FOLDER / "recorded" / "008-out-of-order-mbox.json").read_text())["response"]["text"]
    found = [parse_mail(raw) for raw in split_mbox(text.encode())]
    assert [(mail.patchwork_id, mail.subject.number) for mail in found] == [(12, 1), (14, 2), (11, 3), (13, 4)]
    assert found[0].message_id.startswith("f04f5e1d08d9fe5bf9b4103e7d2256a917970326")


# Mailboxes.


def test_from_in_a_message_is_text() -> None:
    mail = b"Subject: a\n\nFrom now on\n>From then\n\nFrom b Thu Jan  1 00:00:00 1970\nno header\n"
    assert split_mbox(b"From a@x Thu Jan  1 00:00:00 1970\n" + mail) == [mail]


def test_only_mboxrd_is_unescaped() -> None:
    head = b"Subject: a\n\n>From me\n>>From you\n> From quoted\n"
    assert split_mbox(b"From mboxrd@z Thu Jan  1 00:00:00 1970\n" + head) == [
        b"Subject: a\n\nFrom me\n>From you\n> From quoted\n"
    ]
    assert split_mbox(b"From patchwork Sat Jun 20 15:00:01 2026\n" + head) == [head]


def test_a_single_mail_is_a_mailbox_and_nothing_is_none() -> None:
    assert split_mbox(a_mail()) == [a_mail()]
    assert split_mbox(b"\n \n") == []


# Mails.


@pytest.mark.parametrize(
    ("subject", "title"),
    [
        ("=?UTF-8?q?[PATCH_net]_caf=C3=A9?=", "café"),
        ("=?utf-8?B?W1BBVENIXSBjYWbDqQ==?=", "café"),
        ("[PATCH] =?utf-8?q?caf=C3?=\n =?utf-8?q?=A9?= x", "café x"),
        ("[PATCH] =?iso-8859-1?q?caf=E9?=", "café"),
        ("[PATCH] =?nonsense?q?caf=C3=A9?=", "café"),
        ("[PATCH] =?utf-8?q?caf=E9?=", "café"),
        ("[PATCH] =?utf-8?b?!?= x", "x"),
        ("[PATCH] =?utf-8?q?torn", "=?utf-8?q?torn"),
        ("[PATCH] =?idna?q?a?=", "a"),
        ("[PATCH] caf\udce9", "café"),
        ("[PATCH] café", "café"),
        ("[PATCH\n net]\n\tfolded", "folded"),
        ("[PATCH] a\x00b", "a\ufffdb"),
    ],
)
def test_subject_in_any_charset(subject: str, title: str) -> None:
    assert parse_mail(a_mail(Subject=subject)).subject.title == title


def test_diff_is_the_bytes_that_git_applies_whatever_the_charset() -> None:
    diff = b"diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+caf\xc3\xa9\n"
    mail = parse_mail(a_mail(b"text\n---\n" + diff, Content_Type="text/plain; charset=utf-7"))
    assert mail.diff == diff.decode()


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("base64", b"ZGlmZiAtLWdpdCBhL3ggYi94Cg=="),
        ("BASE64", b"ZGlmZiAtLWdp\ndCBhL3gg Yi94Cg"),
        ("quoted-printable", b"diff --git a/x =\nb/=78\n"),
        ("8bit", b"diff --git a/x b/x\n"),
        ("x-uuencode", b"diff --git a/x b/x\n"),
    ],
)
def test_transfer_encodings(encoding: str, body: bytes) -> None:
    assert parse_mail(a_mail(body, Content_Transfer_Encoding=encoding)).diff == "diff --git a/x b/x\n"


def test_parts_of_text_are_read_and_html_is_not() -> None:
    body = (
        b"--b\nContent-Type: text/plain\n\nwords\n--b\nContent-Type: text/html\n\n<diff --git>\n"
        b"--b\nContent-Type: text/x-patch\nContent-Transfer-Encoding: base64\n\nZGlmZiAtLWdpdCBhL3ggYi94Cg==\n--b--\n"
    )
    mail = parse_mail(a_mail(body, Content_Type='multipart/mixed; boundary="b"'))
    assert mail.body.split() == ["words", "diff", "--git", "a/x", "b/x"]
    assert mail.diff == "diff --git a/x b/x\n"


@pytest.mark.parametrize(
    ("value", "name", "email"),
    [
        ("A B <a@x>", "A B", "a@x"),
        ('"B, A" <a@x>', "B, A", "a@x"),
        ("B, A <a@x>", "B, A", "a@x"),
        ("a@x (A B)", "A B", "a@x"),
        ("a@x", "", "a@x"),
        ("nobody", "nobody", ""),
        ("=?utf-8?q?Jos=C3=A9?= <a@x>", "José", "a@x"),
        ("=?utf-8?q?=3Cevil=40y=3E?= <a@x>", "<evil@y>", "a@x"),
        ("", "", ""),
    ],
)
def test_person(value: str, name: str, email: str) -> None:
    assert parse_person(value) == Person(name, email)


@pytest.mark.parametrize("value", ["", "yesterday", "32 Foo 2026", "Mon, 1 Jan 99999 00:00:00 +0000", "\0"])
def test_what_is_no_date(value: str) -> None:
    assert parse_date(value) is None


def test_first_of_two_headers_counts() -> None:
    raw = b"X-Patchwork-Id: 7\n" + a_mail(X_Patchwork_Id="8")
    assert parse_mail(raw).patchwork_id == 7


def test_message_id_of_a_folded_header_has_no_brackets() -> None:
    mail = parse_mail(a_mail(Message_Id="\n <a@x>", References="<b@x>\n <c@x>", In_Reply_To="note of <c@x>"))
    assert (mail.message_id, mail.references, mail.in_reply_to) == ("a@x", ("b@x", "c@x"), "c@x")


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", "neither Message-Id nor Subject nor From"),
        (b"\x00\x01\x02", "neither"),
        (b"<html><body>502 Bad Gateway</body></html>", "neither"),
        (a_mail(b"multipart/" * 100), "too many parts"),
    ],
)
def test_what_is_no_mail_is_refused_in_words(raw: bytes, words: str) -> None:
    with pytest.raises(Refused, match=words):
        parse_mail(raw)


def test_a_mail_of_any_size_is_refused_unread() -> None:
    with pytest.raises(Refused, match="bytes"):
        parse_mail(a_mail(b"x" * (33 << 20)))


HEADERS = [
    b"Subject: ", b"From: ", b"Message-Id: ", b"Content-Type: ", b"Content-Transfer-Encoding: ", b"Date: ", b"\n",
    b"\r", b" ", b"\n\n", b"multipart/mixed; boundary=b", b"text/plain; charset=", b"utf-8", b"utf-16", b"\x00",
    b"base64", b"--b", b"--b--", b"message/rfc822", b"=?utf-8?b?", b"=?utf-8?q?", b"?=", b"charset*0*=", b"<", b">",
    b"charset*1*=", b"'", b"@", b"quoted-printable", b"x-uuencode", b"begin 644 a", b"[PATCH 1/2]", b"\xff", b"(", b'"',
    b"diff --git a/x b/x", b";", b"=", b"hex", b"rot13", b"undefined", b"punycode", b"References: ", b"=E9",
    b"Mon, 1 Jan 0001 00:00:00 +9999", b"99999999999",
]  # fmt: skip


def read_or_refused(raw: bytes) -> Mail | str:
    try:
        return parse_mail(raw)
    except Refused as refused:
        return str(refused)


@given(st.lists(st.sampled_from(HEADERS) | st.binary(max_size=6), max_size=50).map(b"".join))
def test_any_bytes_are_a_mail_that_can_be_stored_or_refused_in_words(raw: bytes) -> None:
    for mail in split_mbox(raw):
        found = read_or_refused(mail)
        if isinstance(found, str):
            assert found
            continue
        for text in (found.message_id, found.subject.raw, found.body, str(found.author), *found.references):
            assert "\0" not in text
            text.encode()
        found.diff.encode()


@given(st.binary(max_size=400), st.sampled_from([b"", b"Subject: ", b"Subject: x\nContent-Type: "]))
def test_any_bytes_at_all(raw: bytes, head: bytes) -> None:
    assert read_or_refused(head + raw)


@given(st.lists(st.binary(max_size=40).map(lambda body: a_mail(body.replace(b"\n", b" "))), min_size=1, max_size=4))
def test_splitting_what_was_joined_gives_it_back(wanted: list[bytes]) -> None:
    box = b"".join(b"From mboxrd@z Thu Jan  1 00:00:00 1970\n" + mail + b"\n\n" for mail in wanted)
    assert [mail.rstrip(b"\n") for mail in split_mbox(box)] == [mail.rstrip(b"\n") for mail in wanted]


# Git reads the same.


def by_git(raw: bytes, folder: Path) -> tuple[dict[str, str], str, str]:
    """What ``git am`` makes of a mail before it applies it: its fields, the commit message and the patch."""
    message, patch = folder / "message", folder / "patch"
    subprocess.run(["git", "mailsplit", "-b", f"-o{folder}"], input=raw, capture_output=True, check=True)
    one = (folder / "0001").read_bytes()
    (folder / "0001").unlink()
    run = subprocess.run(["git", "mailinfo", str(message), str(patch)], input=one, capture_output=True, check=False)
    fields = dict(line.split(": ", 1) for line in run.stdout.decode("utf-8", "replace").splitlines() if ": " in line)
    return fields, message.read_text(errors="replace"), patch.read_bytes().decode("utf-8", "replace")


def agree(raw: bytes, folder: Path) -> None:
    mail = parse_mail(raw)
    fields, message, patch = by_git(raw, folder)
    assert fields.get("Subject", "") == mail.subject.title
    # Git shows an address where there is no name.
    name = mail.author.name or mail.author.email
    assert (fields.get("Author", ""), fields.get("Email", "")) == (name, mail.author.email)
    assert mail.diff
    assert patch.rstrip("\n").endswith(mail.diff.rstrip("\n"))
    assert "diff -" not in patch.rstrip("\n").removesuffix(mail.diff.rstrip("\n"))
    ours = message_of(mail.body).lstrip("\n")
    ours = ours.partition("\n\n")[2] if ours.startswith("From: ") else ours
    assert message.strip() == ours.strip()


def test_git_reads_every_recorded_patch_the_same(tmp_path: Path) -> None:
    count = 0
    for path in MAILBOXES:
        for raw in split_mbox(path.read_bytes()):
            if b"\ndiff --git " in raw and path.stem != "15-malformed":
                agree(raw, tmp_path)
                count += 1
    assert count > 200


@pytest.mark.parametrize(
    "raw",
    [
        a_mail(b"why\n---\n x | 1 +\n\n" + DIFF),
        a_mail(b"why\r\n---\r\n" + DIFF.replace(b"\n", b"\r\n")).replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"),
        a_mail(b"From: C D <c@x>\n\nwhy\n\n" + DIFF),
        a_mail(b"\nFrom: =?utf-8?q?Jos=C3=A9?= <c@x>\n\nwhy\n\n" + DIFF),
        a_mail(b"why\n" + DIFF, Content_Transfer_Encoding="8bit", Subject="[PATCH] x\n y"),
        a_mail(base64.encodebytes(b"why\n---\n" + DIFF), Content_Transfer_Encoding="base64"),
        a_mail(quopri.encodestring(b"caf\xc3\xa9=\n---\n" + DIFF), Content_Transfer_Encoding="quoted-printable"),
        a_mail(b"caf\xe9\n---\n" + DIFF, Content_Type="text/plain; charset=iso-8859-1"),
        a_mail(b"why\n---\n" + DIFF, Subject="Re: [PATCH net v2 1/3] [foo] bar: [baz] x"),
        a_mail(b"why\n---\n" + DIFF, From='"D, C" <c@x>'),
        a_mail(b"why\n---\n" + DIFF, From="c@x (C D)"),
        a_mail(b"why\n---\n" + DIFF, From="=?iso-8859-1?Q?J=F6rg?= <c@x>"),
        a_mail(b"why --- not\n--- a comment, no diff\nthis is the patch for git\n" + DIFF),
        a_mail(b"why\n\nIndex: x\n" + DIFF),
        a_mail(b"  \nFrom: C D <c@x>\n\nwhy\n" + DIFF),
        a_mail(b"why\n" + DIFF, Content_Type="text/plain; charset=utf-7"),
        a_mail(b"why\n" + DIFF, Subject="=?utf-8?q?=5BPATCH=5D_caf=C3?= =?utf-8?q?=A9?="),
    ],
)
def test_git_reads_it_the_same(raw: bytes, tmp_path: Path) -> None:
    agree(raw, tmp_path)
