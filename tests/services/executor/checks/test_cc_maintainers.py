"""Whom a patch should have been sent to, and who is excused."""

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from services.executor.checks.base import Said
from services.executor.checks.cc_maintainers import (
    CcMaintainersConfig,
    Wanted,
    _last_seen,
    named,
    recipients,
    said,
)  # fmt: skip
from shared.errors import InfraError
from shared.formats.mailmap import mailmap
from shared.formats.mbox import parse_mail
from shared.model.mails import Person
from tests.services.executor.checks.subjects import a_mail

OUTPUT = """\
"Ren (the) Nakamura" <ren@nakamura.example> (maintainer:A THING (OF MANY),commit_signer:1/2=50%)
José Peña <Jose@Pena.example> (reviewer:A THING)
list@example.org (open list:A THING)
not an address
"""
WANTED = named(OUTPUT)
KNOWN = mailmap("José Peña <jose@pena.example> <jp@old.example>\n")


def asked(to: str, seen: dict[str, date] | None = None, sender: str = "ada@byrd.example", **options: object) -> Said:
    config = CcMaintainersConfig.model_validate(options)
    return said(a_mail(to=to, **{"from": sender}), WANTED, KNOWN, config, seen)


def test_names() -> None:
    assert [(one.email, one.role) for one in WANTED] == [
        ("ren@nakamura.example", "maintainer:A THING (OF MANY),commit_signer:1/2=50%"),
        ("jose@pena.example", "reviewer:A THING"),
        ("list@example.org", "open list:A THING"),
    ]


def test_recipients_in_any_form() -> None:
    raw = (
        b'From: Ada <ada@byrd.example>\r\nTo: "B, A" <a@b.example>, c@d.example (C)\r\n'
        b"cc: =?utf-8?q?Zo=C3=AB=2C?= <Zoe@x.example>,\r\n undisclosed:;\r\n"
        b'CC: broken"quote <e@f.example>\r\n\r\nx@y.z\r\n'
    )
    emails = {person.email for person in recipients(parse_mail(raw))}
    assert emails == {"ada@byrd.example", "a@b.example", "c@d.example", "Zoe@x.example", "e@f.example"}


@pytest.mark.parametrize(
    ("to", "state", "text"),
    [
        ("list@example.org, REN@nakamura.example, jose@pena.example", "success", "CCed 3 of 3 maintainers"),
        ("list@example.org, ren@nakamura.example, jp@old.example", "success", "CCed 3 of 3 maintainers"),
        ("list@example.org, ren@nakamura.example", "warning", "1 maintainers not CCed: jose@pena.example"),
        ("list@example.org", "fail", "2 maintainers not CCed: jose@pena.example ren@nakamura.example"),
    ],
)
def test_said(to: str, state: str, text: str) -> None:
    answer = asked(to)
    assert (answer.state, answer.text) == (state, text)


def test_ignored_and_colleagues() -> None:
    options: dict[str, Any] = {"ignore": ["List@example.org"], "colleagues": {"ada@byrd.example": ["@pena.example"]}}
    assert asked("ren@nakamura.example", **options).text == "CCed 1 of 1 maintainers"
    assert asked("ren@nakamura.example", sender="zoe@x.example", **options).text.startswith("1 maintainers not")


def test_the_author_needs_no_copy() -> None:
    assert asked("list@example.org, jp@old.example", sender="ren@nakamura.example").state == "success"


def test_silent_people_are_not_asked_for_but_lists_are() -> None:
    seen = {"ren@nakamura.example": date(2023, 11, 1), "jose@pena.example": date(2026, 1, 1)}
    assert asked("x@x.example", seen).text == "2 maintainers not CCed: jose@pena.example list@example.org"
    assert asked("x@x.example", {}).text == "1 maintainers not CCed: list@example.org"


def test_colleagues_are_given_up_sooner() -> None:
    seen = {"ren@nakamura.example": date(2026, 11, 1), "jose@pena.example": date(2025, 9, 1)}
    to = "list@example.org, ren@nakamura.example"
    assert asked(to, seen).text == "1 maintainers not CCed: jose@pena.example"
    assert asked(to, seen, sender="ines@pena.example").text == "CCed 2 of 2 maintainers"


def test_blamed_authors_count_most() -> None:
    blamed = Wanted(Person("Łukasz Żak", "lukasz@wisla.example"), "blamed_fixes", blamed=True)
    mail = a_mail(to="list@example.org, ren@nakamura.example")
    answer = said(mail, [blamed, *WANTED], KNOWN, CcMaintainersConfig(), None)
    assert answer.state == "fail"
    assert answer.text == (
        "1 blamed authors not CCed: lukasz@wisla.example; "
        "2 maintainers not CCed: jose@pena.example lukasz@wisla.example"
    )


def test_last_seen(tmp_path: Path) -> None:
    file = tmp_path / "seen"
    file.write_text(
        "Ren@nakamura.example 2026-01-02\n\nREN@nakamura.example 2025-01-02\njose@pena.example 2020-01-01\n"
    )
    assert _last_seen(file) == {"ren@nakamura.example": date(2026, 1, 2), "jose@pena.example": date(2020, 1, 1)}
    file.write_text("ren@nakamura.example yesterday\n")
    with pytest.raises(InfraError, match=r"cc_maintainers\.last_seen: Invalid isoformat"):
        _last_seen(file)
    with pytest.raises(InfraError, match="No such file"):
        _last_seen(tmp_path / "none")
    assert _last_seen(None) is None
