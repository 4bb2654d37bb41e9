"""What every suite keeps, whatever a hostile machine lists and says: names that are unique, and no exception."""

from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from services.executor.suites import SUITES, SuiteConfig, suite_for
from services.executor.suites.attempt import base_paths
from services.executor.suites.base import Foresees, Keeps, Place, Spoken, Suite
from shared.model.results import Cause, Result

PLACE = Place(PurePosixPath("/home/ci/run"), "a" * 40, "net-next-2026-11-23--09-00", "b" * 40)
TABLES: tuple[dict[str, object], ...] = (
    {"kind": "bpf"},
    {"kind": "kselftest", "targets": ["net", "net/forwarding"]},
    {"kind": "kselftest", "targets": ["net"], "bundle": "/opt/kselftest", "slow": 3, "expects": ["net:gro.sh a"]},
    {"kind": "kunit"},
    {"kind": "kunit", "boots": "once"},
    {"kind": "kunit", "where": "kernel"},
    {"kind": "packetdrill", "variants": ["ipv4", "ipv6", "ipv4-mapped-ipv6"]},
    {"kind": "perf", "command": "./bench", "test": "tcp", "limits": {"a": {"min": 1}}},
    {"kind": "script", "command": "./all", "test": "smoke", "expects": ["smoke a", "other"]},
    {"kind": "script", "command": "make htmldocs", "test": "docs", "checkout": True, "compare": True},
)
LISTING = """\
test net:gro.sh
test net/forwarding:a_b.sh
test net/forwarding:a-b.sh
settings net timeout=100
test_progs maps
example.simple
lists.results
./a/b.pkt
./a-b.pkt
"""
LONG_SUBTEST = "#1/2 maps/" + "€" * 290 + ":OK"
LONG_METRIC = "metric: " + "€" * 199 + " 1"
PIECES = st.sampled_from([
    *LISTING.splitlines(), "KTAP version 1", "    KTAP version 1", "    # Subtest: example", "1..2", "    1..1",
    "ok 1 a", "    ok 1 a", "not ok 2 a # SKIP b", "ok 1 example", "    ok 2 example.a", "ok 2 a", "metric: a 1 s",
    "metric: a 2 ms", '{"metrics": {"a": [1, 2], "b": {}}}', "#1/1 maps/a:OK", "#1/1 maps/a:FAIL", "#1 maps:OK",
    "Summary: 1/1 PASSED, 0 SKIPPED, 0 FAILED", "base: x", LONG_SUBTEST, LONG_METRIC,
    "head: x", "exit base 0", "exit head 0",
    "[    1.0] KTAP version 1", "Kernel panic - not syncing: x", "",
])  # fmt: skip
LINES = st.lists(PIECES | st.text(max_size=30), max_size=20).map("\n".join)

each = pytest.mark.parametrize("table", TABLES, ids=lambda table: "-".join(map(str, table.values()))[:40])


def suite_of(table: dict[str, object]) -> Suite:
    return suite_for(TypeAdapter(SuiteConfig).validate_python(table))


def test_every_suite_of_the_rack_is_here() -> None:
    assert {table["kind"] for table in TABLES} == set(SUITES)
    assert all(cls.name == kind for kind, cls in SUITES.items())  # type: ignore[attr-defined]


@each
@given(LINES)
def test_tests_have_names_of_their_own_and_groups_that_were_announced(table: dict[str, object], listing: str) -> None:
    suite = suite_of(table)
    found = suite.invocations(listing, PLACE)
    assert len({one.key for one in found}) == len(found)
    assert {one.group for one in found} <= set(suite.groups())
    assert all(one.time_limit.total_seconds() > 0 and one.command.argv for one in found)
    assert found == suite.invocations(listing, PLACE)


@each
@given(LINES)
def test_what_is_absent_is_no_test_that_is_there(table: dict[str, object], listing: str) -> None:
    suite = suite_of(table)
    if isinstance(suite, Foresees):
        there = {one.key for one in suite.invocations(listing, PLACE)}
        assert not there & {(case.group, case.test) for case in suite.absent(listing, PLACE)}


@each
@given(LINES, st.binary(max_size=50), st.sampled_from([None, 0, 1, 2, 3, 4, 5, 124, 139]))
def test_a_test_comes_first_and_no_two_cases_are_one(
    table: dict[str, object], stdout: str, stderr: bytes, code: int | None
) -> None:
    suite = suite_of(table)
    for invocation in suite.invocations(LISTING, PLACE)[:2]:
        spoken = Spoken(stdout.encode(errors="replace"), stderr, code, code is None, 1.0, 1, "log")
        first, *below = suite.read(invocation, spoken)
        assert (first.group, first.test, first.subtest) == (*invocation.key, "")
        assert len({case.subtest for case in (first, *below)}) == len(below) + 1
        assert {(case.group, case.test, case.attempt, case.log) for case in below} <= {(*invocation.key, 1, "log")}
        assert all(len(case.subtest.encode()) <= 512 for case in below)
        assert first.cause is Cause.TIMEOUT or code is not None
        assert code in (0, 4, 5) or first.result not in (Result.PASS, Result.SKIP)
        if isinstance(suite, Keeps):
            assert all("/" not in name and data for name, data in suite.keep(invocation, spoken).items())


@each
def test_steps_and_trees_are_told_before_anything_runs(table: dict[str, object]) -> None:
    suite = suite_of(table)
    steps = suite.prepare(PLACE)
    assert steps == suite.prepare(PLACE)
    assert all(step.name and step.time_limit.total_seconds() > 0 for step in steps)
    assert base_paths(suite) is None or suite.paths() is not None
