"""Fixes: lines as people write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.formats.fixes_tag import FixesTag, fixes_tags, same_title

SHA = "0123456789ab"


def the_tag(value: str) -> FixesTag:
    (tag,) = fixes_tags(f"Why.\n\nFixes: {value}\nSigned-off-by: A <a@x>\n")
    return tag


@pytest.mark.parametrize(
    ("value", "title", "faults"),
    [
        (f'{SHA} ("net: a title")', "net: a title", ()),
        (f'{SHA.upper()} ("net: a title")', "net: a title", ()),
        (f"{SHA} ('net: a title')", "net: a title", ()),
        (f"{SHA} (“net: a title”)", "net: a title", ()),
        (f'{SHA} "net: a title"', "net: a title", ()),
        (f'{SHA} ("net: a (nested) title")', "net: a (nested) title", ()),
        (f'commit {SHA} ("net: x")', "net: x", ("leading word 'commit' unexpected",)),
        (f'{SHA[:8]} ("net: x")', "net: x", ("SHA1 should be at least 12 digits long",)),
        (f'{SHA}("net: x")', "net: x", ("no space between SHA1 and title",)),
        (SHA, "", ("no title",)),
        (f'{SHA} ("net: x"', "net: x", ("parenthesis is not closed",)),
        (f'{SHA} ("net: x)', "net: x", ("quote is not closed",)),
    ],
)
def test_forms(value: str, title: str, faults: tuple[str, ...]) -> None:
    tag = the_tag(value)
    assert (tag.title, tag.faults) == (title, faults)
    assert SHA.startswith(tag.sha)


def test_no_id() -> None:
    assert the_tag("the patch before").faults == ("no SHA1 recognised",)
    assert the_tag(f"{SHA}{SHA}{SHA}{SHA} too long").faults == ("no SHA1 recognised",)


def test_alone_between_empty_lines() -> None:
    (tag,) = fixes_tags(f'Why.\n\nFixes: {SHA} ("net: x")\n\nSigned-off-by: A <a@x>\n')
    assert tag.faults == ("empty lines surround the tag",)
    (tag,) = fixes_tags(f'Why.\n\nFixes: {SHA} ("net: x")\n\n')
    assert tag.faults == ()


def test_split_over_two_lines() -> None:
    (tag,) = fixes_tags(f'Fixes: {SHA} ("net: a very\nlong title")\nSigned-off-by: A <a@x>\n')
    assert (tag.title, tag.faults) == ("", ("the tag is split over two lines",))


def test_any_case_and_indent() -> None:
    assert [tag.sha for tag in fixes_tags(f"  fixes: {SHA}\nFixes {SHA}\nNot-Fixes: {SHA}\n")] == [SHA]


@pytest.mark.parametrize(
    ("written", "same"),
    [
        ("net: count packets in order", True), (" net: count packets in order", True), ("net: count packets", False),
        ("net: count ...", True), ("net: count…", True), ("... in order", True), ("net: ... in order", True),
        ("net: ... of order", False), ("net: count packets in ... packets in order", False), ("", False),
    ],
)  # fmt: skip
def test_titles(written: str, same: bool) -> None:
    assert same_title(written, "net: count packets in order") is same


@given(st.text())
def test_never_raises(text: str) -> None:
    for tag in fixes_tags(f"Fixes: {text}"):
        same_title(tag.title, text)
