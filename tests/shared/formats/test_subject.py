"""Subjects: every shape the lists and Patchwork use, and what must not be mistaken for one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.formats.subject import parse_subject, render_subject
from shared.model.mails import Subject


@pytest.mark.parametrize(
    ("text", "tags", "version", "number", "total", "title"),
    [
        ("[PATCH net-next v2 1/3] x", ("net-next",), 2, 1, 3, "x"),
        ("[net-next,v2,1/3] x", ("net-next",), 2, 1, 3, "x"),
        ("[net-next,v2] x", ("net-next",), 2, None, None, "x"),
        ("[v1,1/3,net-next] x", ("net-next",), 1, 1, 3, "x"),
        ("[PATCH v1 1/3 net-next] x", ("net-next",), 1, 1, 3, "x"),
        ("[PATCHv2] x", (), 2, None, None, "x"),
        ("[PATCH-v12 net] x", ("net",), 12, None, None, "x"),
        ("[PATCH][net] x", ("net",), 1, None, None, "x"),
        ("[PATCH] [net] [V3] x", ("net",), 3, None, None, "x"),
        ("[PATCH ethernet] x", ("ethernet",), 1, None, None, "x"),
        ("[PATCH] net: foo [net]", (), 1, None, None, "net: foo [net]"),
        ("[bpf-next/net] x", ("bpf-next", "net"), 1, None, None, "x"),
        ("[PATCH bpf-next/net,stable 2/2] x", ("bpf-next", "net", "stable"), 1, 2, 2, "x"),
        ("[PATCH net 01/10] x", ("net",), 1, 1, 10, "x"),
        ("[PATCH net 5/4] x", ("net",), 1, 5, 4, "x"),
        ("[PATCH 0/4] x", (), 1, 0, 4, "x"),
        ("[PATCH iproute2-next\n\t1/2] a\n b", ("iproute2-next",), 1, 1, 2, "a b"),
        ("[PATCH net 1/2]x", ("net",), 1, 1, 2, "x"),
        ("[PATCH net", (), 1, None, None, "[PATCH net"),
        ("[] x", (), 1, None, None, "x"),
        ("x [PATCH net v3 1/2] y", (), 1, None, None, "x [PATCH net v3 1/2] y"),
        ("", (), 1, None, None, ""),
    ],
)
def test_prefix(
    text: str, tags: tuple[str, ...], version: int, number: int | None, total: int | None, title: str
) -> None:
    found = parse_subject(text)
    assert (found.tags, found.version, found.number, found.total, found.title) == (
        tags,
        version,
        number,
        total,
        title,
    )


@pytest.mark.parametrize(
    ("text", "flags"),
    [
        ("[PATCH] x", ""),
        ("[RFC PATCH] x", "rfc"),
        ("[RFC] x", "rfc"),
        ("[RFCv2 net] x", "rfc"),
        ("[PATCH RESEND net] x", "resend"),
        ("[RESEND] [PATCH] x", "resend"),
        ("[GIT PULL] x", "pull"),
        ("[PULL] x", "pull"),
        ("Re: [PATCH] x", "reply"),
        ("RE: Aw: [PATCH] x", "reply"),
        ("[RFC] Re: [PATCH] x", "rfc reply"),
        ("Rethink: [PATCH] x", ""),
        ("x", ""),
    ],
)
def test_flags(text: str, flags: str) -> None:
    found = parse_subject(text)
    on = [name for name in ("rfc", "resend", "pull", "reply") if getattr(found, name)]
    assert " ".join(on) == flags


def test_raw_is_one_line() -> None:
    assert parse_subject("  [PATCH]\r\n  a\tb ").raw == "[PATCH] a b"


@given(st.text(max_size=200) | st.text("[]/v0123456789 PATCHnet,Re:", max_size=60))
def test_anything_is_a_subject(text: str) -> None:
    found = parse_subject(text)
    assert found.version >= 0
    assert (found.number is None) == (found.total is None)
    assert "\n" not in found.title


def test_hostile_lengths_are_quick() -> None:
    for piece in ("[", "]", "[a]", "re: ", "re[1]: ", "1/", "v", " ", "[1/1 ", ","):
        parse_subject(piece * 100_000)


tag = st.from_regex(r"[a-z][a-z0-9_.-]{0,11}", fullmatch=True).filter(
    lambda word: (
        word.lower() not in {"rfc", "patch", "resend", "repost", "git", "pull", "re"}
        and not any(word.startswith(p) for p in ("v", "rfc", "patch"))
    )
)
title = st.from_regex(r"[a-z0-9]{1,8}: [a-zA-Z0-9 _./()\"-]{0,30}[a-z.]", fullmatch=True).map(
    lambda text: " ".join(text.split())
)


@st.composite
def subjects(draw: st.DrawFn) -> Subject:
    pull = draw(st.booleans())
    total = draw(st.integers(1, 99) | st.none())
    made = Subject(
        raw="",
        title=draw(title.filter(lambda text: not parse_subject(text).reply)),
        tags=tuple(draw(st.lists(tag, max_size=3))),
        version=draw(st.integers(1, 40)),
        number=None if total is None else draw(st.integers(0, total)),
        total=total,
        rfc=not pull and draw(st.booleans()),
        resend=draw(st.booleans()),
        pull=pull,
        reply=draw(st.booleans()),
    )
    line = render_subject(made)
    return Subject(**{**{f: getattr(made, f) for f in Subject.__slots__}, "raw": line})


@given(subjects())
def test_reading_what_was_written_gives_it_back(subject: Subject) -> None:
    assert parse_subject(render_subject(subject)) == subject
