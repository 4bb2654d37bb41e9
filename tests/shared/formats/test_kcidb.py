"""KCIDB submissions, by the schema of kcidb-io itself."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kcidb_io.schema import LATEST

from shared.formats.kcidb import Built, Checkout, Known, document, origin_of, path, status
from shared.model.results import Case, Cause, Result

WHEN = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
HEAD = Checkout(
    "net-next", "net-next-2026-11-20--12-00", "0123456789abcdef0123456789abcdef01234567",
    "https://git.example.org/t.git", WHEN, ("1@x", "2@x"),
)  # fmt: skip


def a_run(number: int, *cases: Case, **more: Any) -> Built:
    page = f"https://ci.example.org/run/{number}"
    return Built("metal", f"exec-{number}", 0, cases, "", "", WHEN, WHEN + timedelta(hours=1), page, **more)


def valid(found: dict[str, Any]) -> None:
    assert (LATEST.major, LATEST.minor) == (found["version"]["major"], found["version"]["minor"])
    LATEST.validate(json.loads(json.dumps(found)))


def test_a_branch_of_26_executors_is_valid() -> None:
    cases = [
        Case(f"g{g}", f"test-{t}.sh", Result.PASS, seconds=1.5, log=f"{t}.log") for g in range(3) for t in range(10)
    ]
    cases.append(Case("g0", "test-0.sh", Result.FAIL, subtest="ipv6.over gre", detail="exit code 1"))
    found = document("netci_netdev", HEAD, [a_run(n, *cases) for n in range(26)])
    valid(found)
    assert (len(found["builds"]), len(found["tests"])) == (26, 26 * 31)
    ids = [one["id"] for kind in ("checkouts", "builds", "tests") for one in found[kind]]
    assert len(set(ids)) == len(ids)
    assert found == document("netci_netdev", HEAD, [a_run(n, *cases) for n in range(26)])


@pytest.mark.parametrize(("case", "word"), [
    (Case("g", "t", Result.PASS), "PASS"), (Case("g", "t", Result.FAIL), "FAIL"), (Case("g", "t", Result.SKIP), "SKIP"),
    (Case("g", "t", Result.XFAIL), "PASS"), (Case("g", "t", Result.WARN), "PASS"),
    (Case("g", "t", Result.ERROR), "ERROR"),
    (Case("g", "t", Result.NOT_RUN), "MISS"), (Case("g", "t", Result.FAIL, cause=Cause.INFRA), "MISS"),
    (Case("g", "t", Result.ERROR, cause=Cause.INFRA), "MISS"), (Case("g", "t", Result.PASS, cause=Cause.INFRA), "PASS"),
])  # fmt: skip
def test_results_become_its_words(case: Case, word: str) -> None:
    assert status(case) == word


def test_of_several_attempts_the_last_counts_and_a_flake_is_said() -> None:
    found = document("o", HEAD, [a_run(1, Case("g", "t", Result.PASS, attempt=1), Case("g", "t", Result.FAIL))])
    valid(found)
    (test,) = found["tests"]
    assert (test["status"], test["misc"]["flaky"], test["misc"]["attempts"]) == ("PASS", True, 2)


def test_a_known_issue_is_an_issue_with_its_incidents() -> None:
    known = {("g", "t"): Known(7, "The veth race", "https://lore.example.org/r/1@x")}
    cases = (Case("g", "t", Result.FAIL), Case("g", "t", Result.FAIL, subtest="s"), Case("g", "u", Result.FAIL))
    found = document("o", HEAD, [a_run(1, *cases, known=known), a_run(2, *cases, known=known)])
    valid(found)
    assert [issue["id"] for issue in found["issues"]] == ["o:known-7"]
    assert len({incident["test_id"] for incident in found["incidents"]}) == len(found["incidents"]) == 2


def test_a_run_that_broke_on_our_side_blames_nobody() -> None:
    found = document("o", HEAD, [replace(a_run(1), cause="infra", reason="The host is gone")])
    valid(found)
    assert (found["builds"][0]["status"], found["tests"]) == ("MISS", [])


def test_what_it_does_not_allow_is_left_out() -> None:
    """Only https addresses, whole commit ids, and what is an address."""
    head = replace(HEAD, url="git://x.org/t.git", commit="abc", pushed=None)
    found = document("o", head, [a_run(1, Case("g", "a b", Result.PASS, log="a b.log", link="javascript:1"))])
    valid(found)
    assert not {"git_repository_url", "git_commit_hash", "start_time"} & found["checkouts"][0].keys()
    assert found["tests"][0]["log_url"] == "https://ci.example.org/run/1/log/a%20b.log"
    assert (
        "log_url" not in document("o", HEAD, [a_run(1, Case("g", "t", Result.PASS, link="javascript:1"))])["tests"][0]
    )
    assert path("net", "tcp-slow-start.pkt", "v6.über all") == "net.tcp-slow-start_pkt.v6._ber_all"
    assert origin_of("Net-Next/x") == "net_next_x"


text = st.text(max_size=30)


@given(text, text, text, text, st.sampled_from(Result), st.sampled_from([None, *Cause]), st.floats(-1, 1e6))
def test_whatever_a_lab_sends_is_valid(
    group: str, test: str, sub: str, detail: str, result: Result, cause: Cause | None, seconds: float
) -> None:
    case = Case(group, test, result, sub, cause, 0, seconds, detail, detail, (detail,), detail)
    found = document(origin_of(group), replace(HEAD, tree=group, branch=test), [a_run(1, case)])
    LATEST.validate(json.loads(json.dumps(found)))
