"""Rates of few runs, and how sure they are; charts; feeds of hostile names."""

from datetime import UTC, datetime
from xml.etree.ElementTree import fromstring

from hypothesis import given
from hypothesis import strategies as st

from services.report.web.charts import badge_image, durations
from services.report.web.feeds import Entry, Feed, as_atom
from services.report.web.history.rates import rate

ATOM = "{http://www.w3.org/2005/Atom}"


def test_intervals_are_wilsons() -> None:
    # Newcombe 1998, table I: 81 of 263, 15 of 148, 0 of 20, 1 of 29, with score intervals.
    for bad, runs, low, high in ((81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611),
                                 (1, 29, 0.0061, 0.1718)):  # fmt: skip
        found = rate(bad, runs)
        assert abs(found.low - low) < 1e-4
        assert abs(found.high - high) < 1e-4


@given(st.integers(0, 1000), st.integers(0, 1000))
def test_a_rate_lies_within_its_interval(bad: int, more: int) -> None:
    found = rate(bad, bad + more)
    assert 0 <= found.low <= found.share <= found.high <= 1


def test_what_is_seen_rarely_does_not_read_as_never() -> None:
    assert str(rate(1, 400)).startswith("0.2 % (")
    assert str(rate(0, 0)) == ""


def an_outcome(seconds: float | None, branch: str = "b", outcome: str = "pass") -> dict[str, object]:
    return {"run_id": 1, "branch": branch, "outcome": outcome, "seconds": seconds}


def test_a_chart_says_what_each_point_is_and_holds_no_markup_of_a_stranger() -> None:
    drawn = str(durations([an_outcome(2.0, "<script>alert(1)</script>", "fail"), an_outcome(None), an_outcome(1.0)]))
    root = fromstring(drawn)
    assert "how long 2 runs took: 1.0 s to 2.0 s" in root.attrib["aria-label"]
    assert [t.text for t in root.iter("title")] == ["b: pass, 1.0 s", "<script>alert(1)</script>: fail, 2.0 s"]
    assert durations([an_outcome(1.0)]) == ""
    assert fromstring(str(durations([an_outcome(0.0), an_outcome(0.0)]))) is not None


@given(st.text(max_size=200))
def test_feeds_and_badges_of_any_text_are_well_formed(text: str) -> None:
    at = datetime(2026, 11, 23, tzinfo=UTC)
    made = Feed(text, "/series/1", [Entry(text, text, text, "/series/1", at)])
    root = fromstring(as_atom(made, "https://ci.example.org", "/x.atom", at))
    assert root.findtext(f"{ATOM}entry/{ATOM}updated") == "2026-11-23T00:00:00Z"


def test_badges_escape_what_they_are_of() -> None:
    assert fromstring(badge_image('a"<b>&', "fail", "bad")).attrib["aria-label"] == 'a"<b>&: fail'
