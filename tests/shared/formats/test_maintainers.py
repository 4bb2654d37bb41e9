"""MAINTAINERS: entries, and the files that they cover."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.formats.maintainers import Section, Tree, sections

TEXT = """
List of maintainers
-------------------

M: of no entry

A DRIVER
M:	Ada Byrd <ada@byrd.example>
S:	Maintained
F:	drivers/net/a/
F:	include/net/a.h
X:	drivers/net/a/not/

ANOTHER
N:	other
F:	drivers/*/b*
F:	net/c

THE REST
F:	*
F:	*/
"""
FILES = (
    "Makefile", "drivers/net/a/a.c", "drivers/net/a/not/b.c", "drivers/net/b.c", "drivers/net/bx/d.c",
    "drivers/scsi/b.c", "include/net/a.h", "include/net/a.hpp", "net/c/c.c", "net/cc/c.c",
)  # fmt: skip


def test_entries() -> None:
    found = sections(TEXT)
    assert [one.title for one in found] == ["-------------------", "A DRIVER", "ANOTHER", "THE REST"]
    assert found[1] == Section("A DRIVER", ("drivers/net/a/", "include/net/a.h"), ("drivers/net/a/not/",))


@pytest.mark.parametrize(
    ("entry", "covered"),
    [
        ("A DRIVER", {"drivers/net/a/a.c", "include/net/a.h", "include/net/a.hpp"}),
        ("ANOTHER", {"drivers/net/b.c", "drivers/scsi/b.c", "net/c/c.c"}),
        ("THE REST", set(FILES)),
    ],
)
def test_covered(entry: str, covered: set[str]) -> None:
    section = next(one for one in sections(TEXT) if one.title == entry)
    tree = Tree.of(FILES)
    assert tree.covered(section) == covered
    assert {path for path in FILES if section.covers(path, tree.folders)} == covered


def test_one_character() -> None:
    assert Section("", ("a/?.c",)).covers("a/b.c")
    assert not Section("", ("a/?.c",)).covers("a/bb.c")
    assert Section("", ("a/*?.c",)).covers("a/bb.c")


def test_hostile_patterns_come_to_an_end() -> None:
    path = "a" * 4000
    assert not Section("", ("*a" * 19 + "b",)).covers(path)
    assert not Section("", ("*a" * 4000,)).covers(path)


@given(st.text(alphabet="ab/*?."), st.text(alphabet="ab/.", min_size=1))
def test_a_tree_and_a_path_agree(pattern: str, path: str) -> None:
    section, tree = Section("", (pattern,)), Tree.of([path])
    assert tree.covered(section) == ({path} if section.covers(path, tree.folders) else set())
