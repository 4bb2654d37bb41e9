"""Which failures a rule means, and which rules may not be."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.report.flakes import Outcome, Standing
from services.report.known.rules import KnownIssue, Where, checked, known_of
from services.report.rollup import TestName, TestOutcome, roll_up
from shared.errors import Refused

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
WHERE = Where("net-next", "metal", "vmksft-net")
TLS = TestName("selftests-net", "tls")
WARNING = "WARNING in foo (foo:bar)"


def an_issue(**more: Any) -> KnownIssue:
    values: dict[str, Any] = {
        "project": "netdev", "reason": "bug 4711", "owner": "ann", "expires": NOW + timedelta(days=9), "test": "tls",
    }  # fmt: skip
    return KnownIssue(**values | more)


@pytest.mark.parametrize(("scope", "crashes", "means"), [
    ({}, (), True), ({"test": "tl?"}, (), True), ({"test": "*"}, (), True), ({"test": "tls2"}, (), False),
    ({"stream": "net-next"}, (), True), ({"stream": "net"}, (), False), ({"remote": "met*"}, (), True),
    ({"executor": "drv"}, (), False), ({"group": "selftests-*"}, (), True), ({"group": "bpf"}, (), False),
    ({"test": "", "crash": "WARNING in foo*"}, (WARNING,), True), ({"crash": "WARNING in foo*"}, (), False),
    ({"crash": "WARNING in foo*"}, (WARNING, "BUG: other"), False), ({"crash": "*"}, (WARNING, "BUG: other"), True),
])  # fmt: skip
def test_scopes(scope: dict[str, str], crashes: tuple[str, ...], means: bool) -> None:
    assert an_issue(**scope).matches(WHERE, TLS, crashes) is means


@pytest.mark.parametrize(("wrong", "words"), [
    ({"test": ""}, "at least one"), ({"test": "**"}, "at least one"), ({"test": "*", "crash": "?*"}, "at least one"),
    ({"reason": " "}, "reason"), ({"owner": ""}, "owner"), ({"link": "javascript:alert(1)"}, "link"),
    ({"expires": NOW}, "is over"), ({"expires": NOW + timedelta(days=400)}, "a year"), ({"test": "a\0"}, "NUL"),
])  # fmt: skip
def test_rules_that_may_not_be(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(Refused, match=words):
        checked(an_issue(**wrong), NOW)
    assert checked(an_issue(), NOW)


def test_only_failures_are_known_and_the_oldest_rule_names_them() -> None:
    flaky = TestName("selftests-net", "tls_flaky")
    found = [
        TestOutcome(TLS, Outcome(Standing.FAIL)), TestOutcome(flaky, Outcome(Standing.PASS, True)),
        TestOutcome(TestName("selftests-net", "udp"), Outcome(Standing.FAIL)),
    ]  # fmt: skip
    rules = [replace(an_issue(test="tls*"), id=9), replace(an_issue(), id=4)]
    known = known_of(rules, WHERE, found)
    assert known == {TLS: 4}
    rollup = roll_up(found, known)
    assert (rollup.failed, rollup.known, rollup.tests) == (1, 1, 3)
    assert [t.test for t in rollup.failing] == ["udp"]
    assert rollup.known_tests == ((TLS, 4),)
