"""git's .mailmap, in the four forms of gitmailmap(5)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.formats.mailmap import mailmap
from shared.model.mails import Person

MAP = mailmap(
    """
# who is who
Ada Byrd <ada@byrd.example>
<zoe@fjord.example> <zoe@old.example>   # moved
Ren Nakamura <ren@nakamura.example> <ren@work.example>
Łukasz Żak <lukasz@wisla.example> LZ <shared@work.example>
José Peña <jose@pena.example> JP <shared@work.example>
no line of ours
"""
)


@pytest.mark.parametrize(
    ("person", "known"),
    [
        (Person("ada", "ada@byrd.example"), Person("Ada Byrd", "ada@byrd.example")),
        (Person("Zoë", "Zoe@Old.example"), Person("Zoë", "zoe@fjord.example")),
        (Person("R", "ren@work.example"), Person("Ren Nakamura", "ren@nakamura.example")),
        (Person("lz", "shared@work.example"), Person("Łukasz Żak", "lukasz@wisla.example")),
        (Person("JP", "shared@work.example"), Person("José Peña", "jose@pena.example")),
        (Person("X", "shared@work.example"), Person("X", "shared@work.example")),
        (Person("X", "x@nowhere.example"), Person("X", "x@nowhere.example")),
    ],
)
def test_known(person: Person, known: Person) -> None:
    assert MAP.known(person) == known


def test_the_same_by_any_address() -> None:
    new, old = Person("", "REN@nakamura.example"), Person("", "ren@work.example")
    assert MAP.same(new, old)
    assert MAP.same(old, new)
    assert not MAP.same(new, Person("", "zoe@old.example"))


def test_later_lines_win() -> None:
    twice = mailmap("One <one@x> <old@x>\nTwo <two@x> <old@x>\n")
    assert twice.known(Person("", "old@x")) == Person("Two", "two@x")


@given(st.text())
def test_any_text_is_a_map(text: str) -> None:
    mailmap(text).known(Person("a", "b"))
