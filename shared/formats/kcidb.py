"""Results of a branch as a KCIDB submission, schema 5.3, with ids that are the same whenever it is made.

A branch is a checkout, what one executor made of it a build and its tests. KCIDB knows one result a test, so that of
several attempts the last counts, and what it has no word for stands in ``misc``. What broke on our side is MISS, never
FAIL. (Source: kcidb-io, ``schema/v05_03.py``; peers' ids as ``kci-dev`` makes them: a hash of what names the thing.)
"""

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import quote

from shared.formats.clean import cut
from shared.model.results import Case, Cause, Result

VERSION = {"major": 5, "minor": 3}
EXCERPT = 16384
_ORIGIN = re.compile(r"[^a-z0-9_]")
_SEGMENT = re.compile(r"[^A-Za-z0-9_-]+")
_ADDRESS = re.compile(
    r"https?://[A-Za-z0-9.-]+(?::[0-9]{1,5})?(?:/(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*)?"
    r"(?:\?(?:[A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*)?"
)
_COMMIT = re.compile(r"[0-9a-f]{40}")
_PLAIN = {
    Result.PASS: "PASS", Result.FAIL: "FAIL", Result.SKIP: "SKIP", Result.WARN: "PASS", Result.XFAIL: "PASS",
    Result.XPASS: "PASS", Result.ERROR: "ERROR", Result.NOT_RUN: "MISS",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Known:
    """A known issue: `id` among ours, `reason` in words, `link` to more."""

    id: int
    reason: str
    link: str = ""


@dataclass(frozen=True, slots=True)
class Built:
    """A run of one executor that ended. `page` is its address, where its logs are below ``log/``; "" is none.

    `known` are the known issues by group and test. `facts` say on what it ran.
    """

    remote: str
    executor: str
    attempt: int
    cases: Sequence[Case]
    cause: str = ""
    reason: str = ""
    started: datetime | None = None
    ended: datetime | None = None
    page: str = ""
    known: dict[tuple[str, str], Known] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Checkout:
    """A test branch. `series` are the Message-Ids of what is on it, `url` the repository it can be fetched from."""

    tree: str
    branch: str
    commit: str
    url: str = ""
    pushed: datetime | None = None
    series: Sequence[str] = ()


def origin_of(name: str) -> str:
    """A name as KCIDB allows it for an origin: lower-case letters, digits and ``_``."""
    return _ORIGIN.sub("_", name.lower()) or "netci"


def document(origin: str, checkout: Checkout, runs: Iterable[Built]) -> dict[str, Any]:
    """The submission. Nothing in it is null, and each id begins with `origin`."""
    head = _id(origin, "ck", checkout.url, checkout.branch, checkout.commit)
    builds, tests, issues, incidents = [], [], dict[int, dict[str, Any]](), []
    for run in runs:
        build = _build(origin, head, run)
        builds.append(build)
        for group, found in _final(run.cases).items():
            test = _test(origin, build["id"], run, group, found)
            tests.append(test)
            if known := run.known.get((found[-1].group, found[-1].test)):
                issue = issues.setdefault(known.id, _issue(origin, known))
                if not found[-1].subtest:
                    incidents.append(_incident(origin, issue, test))
    return {
        "version": VERSION,
        "checkouts": [_checkout(origin, head, checkout)],
        "builds": builds,
        "tests": tests,
        "issues": list(issues.values()),
        "incidents": incidents,
    }


def _id(origin: str, kind: str, *parts: object) -> str:
    said = "|".join(str(part) for part in parts)
    return f"{origin}:{kind}-{hashlib.sha256(said.encode('utf-8', 'replace')).hexdigest()}"


def _said(**fields: Any) -> dict[str, Any]:
    """Only what is there: the schema allows no null, and an empty text says nothing."""
    return {key: value for key, value in fields.items() if value is not None and value not in ("", [], {})}


def _checkout(origin: str, id_: str, of: Checkout) -> dict[str, Any]:
    return {"id": id_, "origin": origin, "patchset_hash": ""} | _said(
        tree_name=cut(_text(of.tree), 500),
        git_repository_url=of.url if of.url.startswith("https://") else "",
        git_commit_hash=of.commit if _COMMIT.fullmatch(of.commit) else "",
        git_repository_branch=cut(_text(of.branch), 500),
        start_time=_time(of.pushed),
        valid=True,
        misc=_said(series=[_text(one) for one in of.series]),
    )


def _build(origin: str, checkout: str, run: Built) -> dict[str, Any]:
    broken = run.cause == "infra"
    return {
        "id": _id(origin, "b", checkout, run.remote, run.executor, run.attempt),
        "origin": origin,
        "checkout_id": checkout,
    } | _said(
        start_time=_time(run.started),
        duration=_seconds(run.started, run.ended),
        config_name=cut(_text(run.executor), 500),
        log_url=_address(run.page),
        status="MISS" if broken else "",
        comment=cut(_text(run.reason), 2000),
        misc=_said(remote=_text(run.remote), executor=_text(run.executor), attempt=run.attempt, **run.facts),
    )


def _final(cases: Iterable[Case]) -> dict[tuple[str, str, str], list[Case]]:
    """The attempts of each test and subtest, the last one last."""
    found: dict[tuple[str, str, str], list[Case]] = {}
    for case in sorted(cases, key=lambda case: case.attempt):
        found.setdefault((case.group, case.test, case.subtest), []).append(case)
    return found


def _test(origin: str, build: str, run: Built, name: tuple[str, str, str], tries: Sequence[Case]) -> dict[str, Any]:
    last = tries[-1]
    flaky = len(tries) > 1 and last.result is Result.PASS and any(one.result.bad for one in tries[:-1])
    return {"id": _id(origin, "t", build, *name), "origin": origin, "build_id": build, "status": status(last)} | _said(
        path=path(*name),
        duration=last.seconds if last.seconds is not None and last.seconds >= 0 else None,
        start_time=_time(run.started),
        log_url=_address(f"{run.page}/log/{quote(last.log)}" if run.page and last.log else last.link),
        log_excerpt=cut(_text(last.detail), EXCERPT),
        misc=_said(
            group=_text(last.group),
            test=_text(last.test),
            subtest=_text(last.subtest),
            result="" if _PLAIN[last.result] == last.result.upper() else str(last.result),
            cause=str(last.cause or ""),
            flaky=True if flaky else None,
            attempts=len(tries) if len(tries) > 1 else None,
            crashes=[_text(one) for one in last.crashes],
        ),
    )


def status(case: Case) -> str:
    """KCIDB's word for a result. Broken infrastructure is MISS: nobody's patch did that."""
    if case.cause is Cause.INFRA and case.result.bad:
        return "MISS"
    return _PLAIN[case.result]


def path(group: str, test: str, subtest: str = "") -> str:
    """A dotted path of what KCIDB allows: a dot of ours is no level there, ``tcp.pkt`` is ``tcp_pkt``."""
    parts = [group, test, *(subtest.split(".") if subtest else ())]
    return ".".join(kept for part in parts if (kept := _SEGMENT.sub("_", part)))


def _issue(origin: str, known: Known) -> dict[str, Any]:
    return {"id": f"{origin}:known-{known.id}", "version": 1, "origin": origin} | _said(
        report_url=_address(known.link), comment=cut(_text(known.reason), 2000)
    )


def _incident(origin: str, issue: dict[str, Any], test: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": _id(origin, "i", issue["id"], test["id"]),
        "origin": origin,
        "issue_id": issue["id"],
        "issue_version": issue["version"],
        "test_id": test["id"],
        "present": True,
    }


def _text(said: str) -> str:
    """Without NULs, which no text may hold there, nor halves of characters."""
    return said.replace("\0", "").encode("utf-8", "replace").decode()


def _address(url: str) -> str:
    return url if len(url) < 4000 and _ADDRESS.fullmatch(url) else ""


def _time(at: datetime | None) -> str:
    return at.isoformat() if at is not None else ""


def _seconds(started: datetime | None, ended: datetime | None) -> float | None:
    if started is None or ended is None or ended < started:
        return None
    return (ended - started).total_seconds()
