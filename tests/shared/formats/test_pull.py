"""Pull requests in mails."""

import pytest

from shared.formats.pull import pull_request

THERE = "are available in the Git repository at:"
HEAD = "The following changes since commit 0123456789ab:\n\n  Merge (2026-11-01)\n\n"


@pytest.mark.parametrize(
    ("said", "asked"),
    [
        (THERE + "\n\n  https://x.org/net.git tags/net-1\n", "https://x.org/net.git tags/net-1"),
        ("are available in the git repository at: git://x.org/net for-linus\n", "git://x.org/net for-linus"),
        (THERE + "\n\n  https://x.org/net.git\n\nfor you", "https://x.org/net.git"),
        (THERE + "\n\n  git@x.org:net.git main\n", "git@x.org:net.git main"),
        (THERE + "\n\n  https://x.org/net.git \\\n  for-next\n", "https://x.org/net.git for-next"),
        (THERE + "\n\n  file:///etc main\n", ""),
        ("nothing is said of where\n", ""),
    ],
)  # fmt: skip
def test_the_address_and_the_ref_are_found(said: str, asked: str) -> None:
    assert pull_request(HEAD + said) == asked


def test_a_quoted_request_asks_nothing() -> None:
    said = HEAD + THERE + "\n\n  https://x.org/net.git main\n"
    assert pull_request("\n".join(f"> {line}" for line in said.splitlines())) == ""
    assert pull_request("") == ""
