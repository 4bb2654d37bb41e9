"""The result table as CSV."""

import csv
import io
from datetime import UTC, datetime

import httpx
import pytest

from services.report.web import contest
from services.report.web.exports import COLUMNS, cell
from tests.services.report.web.conftest import Site


async def ask(site: Site, query: str) -> tuple[httpx.Response, list[dict[str, str]]]:
    async with httpx.AsyncClient(base_url=site.url) as http:
        answer = await http.get(f"/contest.csv?{query}")
    return answer, list(csv.DictReader(io.StringIO(answer.text, newline="")))


async def test_all_that_the_filters_mean_is_told_page_after_page(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = (await ask(site, "ld-cases=1"))[1]
    monkeypatch.setattr(contest, "PAGE", 2)
    answer, rows = await ask(site, "ld-cases=1")
    assert rows == whole
    assert len(rows) > 6
    assert tuple(rows[0]) == COLUMNS
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert "attachment" in answer.headers["Content-Disposition"]
    (bad,) = (await ask(site, "pass=0&skip=0&warn=0"))[1]
    assert (bad["test"], bad["result"], bad["crashes"]) == (
        "fib_tests.sh",
        "fail",
        "general protection fault in fib6_walk",
    )
    assert (await ask(site, "test=nothing"))[1] == []


async def test_what_is_asked_wrongly_is_told_before_a_row_is(site: Site) -> None:
    answer, _ = await ask(site, "pass=2")
    assert (answer.status_code, answer.headers["Content-Type"].split(";")[0]) == (400, "application/problem+json")


@pytest.mark.parametrize(("value", "told"), [
    ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"), ("@x", "'@x"), (-1.5, "-1.5"), (None, ""), (["a", "b"], "a; b"),
    (True, "yes"),
    (datetime(2026, 11, 23, tzinfo=UTC), "2026-11-23T00:00:00+00:00"), ("tls", "tls"),
])  # fmt: skip
def test_cells_are_no_formulas(value: object, told: str) -> None:
    assert cell(value) == told
