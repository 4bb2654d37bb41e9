"""What is kept of one mail."""

import pytest

from services.ingest.lists.letters import Kind, Needs, family, letter, needs
from shared.formats.mbox import join_mbox, parse_mail, split_mbox
from tests.services.ingest.build import a_mail

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def test_copies_of_one_mail_have_one_digest() -> None:
    one = letter(parse_mail(a_mail("[PATCH] a: b", "1@x")))
    copy = a_mail("[PATCH] a: b", "1@x", headers="Received: from elsewhere\n") + b"\n\n"
    assert letter(parse_mail(copy)).digest == one.digest
    assert letter(parse_mail(a_mail("[PATCH] a: b", "1@x", body="Other words."))).digest != one.digest


@pytest.mark.parametrize(
    ("subject", "diff", "kind"),
    [
        ("[PATCH] a: b", None, Kind.PATCH),
        ("[PATCH 2/3] a: b", "", Kind.PATCH),
        ("[PATCH 0/3] a: b", "", Kind.COVER),
        ("Re: [PATCH] a: b", None, Kind.TALK),
        ("hello", "", Kind.TALK),
    ],
)
def test_what_a_mail_is(subject: str, diff: str | None, kind: Kind) -> None:
    assert letter(parse_mail(a_mail(subject, "1@x", diff=diff))).kind is kind


def test_the_sender_is_who_mailed_it_and_not_who_wrote_it() -> None:
    mail = parse_mail(a_mail("[PATCH] a: b", "1@x", body="From: Bob <bob@x.org>\n\nWhy."))
    assert (letter(mail).sender, mail.author.email) == ("ann@example.org", "bob@x.org")


def test_the_family_of_message_ids() -> None:
    assert family("20261120.4711-3-ann@x.org") == family("20261120.4711-12-ann@x.org")
    assert family("20261120-topic-v2-1-abc@x.org") != family("20261120-topic-v3-1-abc@x.org")
    assert family("abc@x.org") == ""


def test_what_a_series_stands_on() -> None:
    cover = a_mail(
        "[PATCH 0/1] a: b", "c@x", diff="",
        body=f"All.\n\nDepends-on: <before@x.org>\nBased-on: https://lore.kernel.org/netdev/other@x.org/\n"
        f"> Based-on: <quoted@x.org>\nDepends-on: <c@x>\n\nbase-commit: {COMMIT}\n"
        f"prerequisite-patch-id: {COMMIT[::-1]}",
    )  # fmt: skip
    patch = a_mail("[PATCH 1/1] a: b", "1@x", reply="c@x")
    found = needs([parse_mail(cover), parse_mail(patch)])
    assert found == Needs(COMMIT, (COMMIT[::-1],), ("before@x.org", "other@x.org"))
    assert not needs([parse_mail(patch)])


def test_a_mailbox_that_was_joined_gives_its_mails_back() -> None:
    body = "From now Mon Jan  1 00:00:00 2026\nSubject: x\n>From here"
    mails = [a_mail("[PATCH 1/2] a", "1@x", body=body), a_mail("[PATCH 2/2] b", "2@x")]
    assert [mail.rstrip() for mail in split_mbox(join_mbox(mails))] == [mail.rstrip() for mail in mails]
