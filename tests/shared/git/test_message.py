import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.git.message import as_utf8, clean_name, compose, ident, stripspace
from shared.git.process import environment
from shared.model.mails import Person
from tests.shared.git.build import a_tree, git

texts = st.lists(st.sampled_from([b" ", b"\t", b"\n", b"\r", b"a", b"\xc3\xa4", b"\xff", b"# x"]), max_size=30).map(
    b"".join
)


@settings(max_examples=60, deadline=None)
@given(texts)
def test_stripspace_does_what_git_does(text: bytes) -> None:
    ran = subprocess.run(["git", "stripspace"], input=text, capture_output=True, check=True)
    assert stripspace(text) == ran.stdout


def test_a_message_is_subject_blank_line_body() -> None:
    assert compose(b"net: x", b"\n\nWhy.  \n\n\n") == b"net: x\n\nWhy.\n"
    assert compose(b"net: x", b"") == b"net: x\n"


@pytest.mark.parametrize(
    "text",
    [b"plain", "Gr\u00fc\u00df".encode(), b"Gr\xfc\xdf", b"\xc3", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc0\xaf",
     b"a\xffb\xc3\xa4",
     "\ufdd0".encode(), "\ufffe".encode(), "\U0001ffff".encode(), b"\xf8\x88\x80\x80\x80", b"\xe2\x82"],
)  # fmt: skip
def test_commits_become_utf8_as_in_git(tmp_path: Path, text: bytes) -> None:
    tree = a_tree(tmp_path / "tree")
    sha = git(tree, "commit-tree", "HEAD^{tree}", stdin=b"x " + text + b"\n")
    raw = subprocess.run(["git", "cat-file", "commit", sha], cwd=tree, capture_output=True, check=True).stdout
    assert raw.partition(b"\n\n")[2] == as_utf8(b"x " + text + b"\n")


@pytest.mark.parametrize("name", [" Ada. ", "Ada <K>", "'Ada \"K\" K.'", "A,B;", "A\nB", "\u00c4da", "a: b"])
def test_names_are_cleaned_as_in_git(tmp_path: Path, name: str) -> None:
    env = {**environment(None, {}, "", {}), "GIT_AUTHOR_NAME": name, "GIT_AUTHOR_EMAIL": f"<{name}@x>"}
    said = subprocess.run(
        ["git", "var", "GIT_AUTHOR_IDENT"], env=env, capture_output=True, check=True, cwd=tmp_path
    ).stdout
    expected = clean_name(name.encode()) + b" <" + clean_name(f"<{name}@x>".encode()) + b">"
    assert said.rpartition(b">")[0] + b">" == expected


def test_who_has_no_name_goes_by_the_address() -> None:
    assert ident(Person("", "ci@example.org")) == b"ci@example.org <ci@example.org>"
