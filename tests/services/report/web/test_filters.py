"""The query string of the result table."""

import pytest

from services.report.web.filters import BOXES, Contest, Place, before, key, number, parse_contest
from shared.errors import Refused


def test_without_a_query_everything_but_subtests_is_shown() -> None:
    assert parse_contest({}) == Contest()
    assert Contest().results == [result for results in BOXES.values() for result in results]


def test_links_of_nipa_are_understood() -> None:
    wanted = parse_contest({"branch": "b", "executor": "e", "remote": "r", "test": "tls", "pass": "0", "ld-cases": "1"})
    assert (wanted.branch, wanted.executor, wanted.remote, wanted.test) == ("b", "e", "r", "tls")
    assert wanted.hidden == {"pass"}
    assert wanted.subtests
    assert parse_contest({"ld_cases": "1", "ld-cnt": "7"}).branches == 7


def test_a_form_sends_only_the_boxes_that_are_ticked() -> None:
    assert parse_contest({"boxes": "1", "fail": "1"}).hidden == {"pass", "skip", "warn"}


def test_a_query_is_what_it_parses_from() -> None:
    from urllib.parse import parse_qsl

    wanted = Contest("b", "s", "r", "e", "g", "t", frozenset({"pass"}), True, True, 9, Place(1, 2, 3, 4))
    assert parse_contest(dict(parse_qsl(wanted.query))) == wanted


@pytest.mark.parametrize(
    "query",
    [{"pass": "maybe"}, {"ld_cnt": "0"}, {"ld_cnt": "x"}, {"ld_cnt": "٣"}, {"after": "1.2.3"}, {"after": "1.2.3.x"},
     {"after": f"1.2.3.{1 << 31}"}],
)  # fmt: skip
def test_what_is_misspelt_is_refused(query: dict[str, str]) -> None:
    with pytest.raises(Refused):
        parse_contest(query)


def test_numbers() -> None:
    assert number({"limit": "9999"}, "limit", 5, 100) == 100
    assert number({}, "limit", 5, 100) == 5
    assert before({}) is None
    assert before({"before": "17"}) == 17
    with pytest.raises(Refused):
        key("9" * 19)
