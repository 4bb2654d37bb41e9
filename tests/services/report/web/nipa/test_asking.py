"""Query strings of NIPA's readers, odd ones included: none is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.report.web.nipa.asking import Wanted, read_results, yes


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ({}, Wanted()),
        ({"branches": "3"}, Wanted(branches=3)),
        ({"branches": "0"}, Wanted()),
        ({"branches": "many"}, Wanted()),
        ({"branches": "-4"}, Wanted()),
        ({"branches": "٣"}, Wanted()),
        ({"branches": "99999"}, Wanted(branches=1000)),
        ({"branch-name": "net-next-2026-11-23--09-00"}, Wanted("net-next-2026-11-23--09-00")),
        ({"branch-name": "a'; drop table results"}, None),
        ({"remote": "metal"}, Wanted(remote="metal")),
        ({"remote": "a' or 1=1"}, Wanted()),
        ({"format": "l2", "pending": "1"}, Wanted(shape="l2")),
        ({"format": "xml"}, Wanted(shape="")),
        ({"pending": "yes"}, Wanted(pending=True)),
        ({"pending": "true"}, Wanted(pending=True)),
        ({"pending": "0"}, Wanted()),
        ({"br-pfx": "net-next"}, Wanted(prefix="net-next")),
    ],
)
def test_what_is_asked_for(query: dict[str, str], wanted: Wanted | None) -> None:
    assert read_results(query) == wanted


@given(
    st.dictionaries(st.sampled_from(["branches", "branch-name", "remote", "format", "pending", "br-pfx"]), st.text())
)
def test_nothing_that_may_be_asked_raises_and_counts_are_bounded(query: dict[str, str]) -> None:
    wanted = read_results(query)
    assert wanted is None or 1 <= wanted.branches <= 1000


def test_switches() -> None:
    assert [yes(text) for text in ("1", "y", "true", "0", "n", "F", "", "maybe")] == [
        True, True, True, False, False, False, None, None,
    ]  # fmt: skip
