"""One line each."""

from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.report import compose
from services.report.compose import LIMIT, Clash

BRANCH = "net-next-2026-11-23--09-00"


def test_a_conflict_names_patch_files_and_rival() -> None:
    clash = Clash(BRANCH, 2, "tcp: slow", ("a.c", "b.c"), "tcp: quick", "1@x.org")
    assert compose.conflict(clash) == (
        f"Conflicts with pending/net patches ({BRANCH}): patch 2 of this series (tcp: slow) in a.c, b.c, "
        "with series 'tcp: quick' (1@x.org)"
    )


@pytest.mark.parametrize(
    ("clash", "tail"),
    [
        (Clash(BRANCH), ""),
        (Clash(BRANCH, 1, "", ("a.c",)), ": patch 1 of this series in a.c"),
        (Clash(BRANCH, None, "", ("a.c",), "r", "1@x"), ": in a.c, with series 'r' (1@x)"),
        (Clash(BRANCH, rival_title="r", rival_message_id="1@x"), ": with series 'r' (1@x)"),
    ],
)
def test_a_conflict_says_only_what_is_known(clash: Clash, tail: str) -> None:
    assert compose.conflict(clash) == f"Conflicts with pending/net patches ({BRANCH}){tail}"


def test_of_a_long_conflict_the_rival_is_what_stays() -> None:
    files = [f"drivers/net/ethernet/vendor/device/file{n}.c" for n in range(9)]
    text = compose.conflict(Clash(BRANCH, 1, "t" * 300, files, "r" * 60, "20261123.1@vendor.example.org"))
    assert len(text) <= LIMIT
    assert text.endswith(f"with series '{'r' * 60}' (20261123.1@vendor.example.org)")


@given(st.text(max_size=400), st.text(max_size=400), st.text(max_size=400))
def test_whatever_titles_hold_it_is_one_line_that_fits(title: str, rival: str, message_id: str) -> None:
    text = compose.conflict(Clash(BRANCH, 1, title, (title,), rival, message_id))
    assert len(text) <= LIMIT
    assert text.isprintable()


def test_apply() -> None:
    assert compose.applies("net", False) == "Applies to net"
    assert compose.applies("net", True) == "Patch already applied to net"
    assert compose.does_not_apply("net", 2, ["a.c"], "why") == "Patch 2 does not apply to net: a.c"
    assert compose.does_not_apply("net", 2, [], "corrupt patch") == "Patch 2 does not apply to net: corrupt patch"
    assert compose.does_not_apply("", None, [], "Path leaves the tree") == "Path leaves the tree"


@given(st.text(min_size=1, max_size=300), st.integers(1, 10**9))
def test_an_address_is_valid_and_short_enough(message_id: str, series: int) -> None:
    message_id = message_id.encode("utf-8", "ignore").decode()
    url = compose.series_url("https://ci.example.org", series, message_id)
    assert len(url) <= compose.URL_LIMIT
    assert urlsplit(url).path.startswith("/series/")
    assert " " not in url


@given(st.text(min_size=1, max_size=300), st.from_regex(r"[A-Za-z0-9_-]{1,255}", fullmatch=True), st.integers(0, 99))
def test_the_address_of_a_result_is_short_enough_and_says_which(message_id: str, context: str, patch: int) -> None:
    message_id = message_id.encode("utf-8", "ignore").decode()
    url = compose.check_url("https://ci.example.org", 7, message_id, context, patch)
    assert len(url) <= compose.URL_LIMIT
    assert urlsplit(url).path.startswith("/series/")
    assert url.endswith(compose.check_path(context, patch)) or len(context) > 100
