"""The result table as CSV, runs and branches as JUnit XML."""

import csv
import io
import xml.etree.ElementTree as ET
from datetime import UTC, datetime

import httpx
import pytest
from kcidb_io.schema import LATEST

from services.report.web import contest, exports
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


async def junit(site: Site, path: str) -> tuple[httpx.Response, ET.Element]:
    async with httpx.AsyncClient(base_url=site.url) as http:
        answer = await http.get(path)
    return answer, ET.fromstring(answer.content)


async def test_a_run_as_junit_holds_all_its_cases(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    (bad,) = (await ask(site, "pass=0&skip=0&warn=0"))[1]
    async with httpx.AsyncClient(base_url=site.url) as http:
        listed = (await http.get(f"/api/v1/runs/{bad['run']}/cases")).json()["cases"]
    answer, whole = await junit(site, f"/run/{bad['run']}.junit.xml")
    assert answer.headers["Content-Type"] == "application/xml; charset=utf-8"
    assert f'filename="run-{bad["run"]}.xml"' in answer.headers["Content-Disposition"]
    assert len(listed) == len(whole.findall(".//testcase")) == int(whole.attrib["tests"])
    assert next(case.attrib["name"] for case in whole.findall(".//testcase[failure]")) == "fib_tests.sh"
    monkeypatch.setattr(exports, "AT_ONCE", 2)
    assert (await junit(site, f"/run/{bad['run']}.junit.xml"))[0].content == answer.content
    monkeypatch.setattr(exports, "MOST", 3)
    cut, part = await junit(site, f"/run/{bad['run']}.junit.xml")
    assert (cut.headers["X-Cut-Off"], len(part.findall(".//testcase"))) == ("3", 3)


async def test_it_is_read_back_as_it_was(site: Site) -> None:
    (bad,) = (await ask(site, "pass=0&skip=0&warn=0"))[1]
    answer, _ = await junit(site, f"/run/{bad['run']}.junit.xml")
    assert "general protection fault in fib6_walk" in answer.text
    assert "netci.crash" in answer.text


async def test_a_branch_as_junit_holds_its_runs_apart(site: Site) -> None:
    rows = (await ask(site, ""))[1]
    name = rows[0]["branch"]
    _, whole = await junit(site, f"/branch/{name}.junit.xml")
    wanted = {f"{row['remote']}/{row['executor']} {row['group']}" for row in rows if row["branch"] == name}
    assert wanted <= {suite.attrib["name"] for suite in whole.findall("testsuite")}


async def test_a_branch_for_kcidb_is_valid_and_holds_its_tests(site: Site) -> None:
    (bad,) = (await ask(site, "pass=0&skip=0&warn=0"))[1]
    name, rows = bad["branch"], (await ask(site, f"executor={bad['executor']}"))[1]
    async with httpx.AsyncClient(base_url=site.url) as http:
        told = (await http.get(f"/branch/{name}.kcidb.json?origin=Some-Lab")).json()
    LATEST.validate(told)
    assert {one["origin"] for one in told["tests"]} == {"some_lab"}
    wanted = {(row["group"], row["test"]) for row in rows if row["branch"] == name}
    assert wanted
    assert wanted <= {(one["misc"]["group"], one["misc"]["test"]) for one in told["tests"]}


@pytest.mark.parametrize(
    "path", ["/run/99999.junit.xml", "/run/x.junit.xml", "/branch/nothing.junit.xml", "/branch/nothing.kcidb.json"]
)
async def test_what_is_not_there_is_said(site: Site, path: str) -> None:
    async with httpx.AsyncClient(base_url=site.url) as http:
        assert (await http.get(path)).status_code in (400, 404)
