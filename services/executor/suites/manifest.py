"""Tests that there should be: what a manifest names and nothing reported is shown as not run.

A suite under `Expecting` is the same suite, with those cases added. Nothing here makes a test fail: a test that did
not run has no verdict, and whoever reads the results sees that it did not run.

A line of a manifest is a test, as results name it or as the host does (``gro-sh``, ``net:gro.sh``), with its group
before a slash if it has one (``selftests-net/gro-sh``), and after a blank one of its subtests, if one is meant.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from pydantic import BaseModel

from services.executor.drivers.base import Command
from services.executor.suites.attempt import base_paths
from services.executor.suites.base import Foresees, Invocation, Keeps, Place, Spoken, Step, Suite, Table
from shared.formats.clean import cut, plain
from shared.formats.ktap_tree import NAME_BYTES
from shared.formats.selftests import dashed, group_of
from shared.model.results import Case, Result

MOST = 50_000
"""Lines of a manifest."""


@dataclass(frozen=True, slots=True)
class Expected:
    """One line. `group` may be empty; `test` is spelled as results spell it."""

    group: str
    test: str
    subtest: str = ""


def read(lines: Iterable[str]) -> tuple[Expected, ...]:
    """The lines of a manifest; empty ones, and those that begin with ``#``, are none."""
    words = (line.split(maxsplit=1) for line in lines if not line.lstrip().startswith("#"))
    return tuple(dict.fromkeys(_one(*found) for found in words if found))[:MOST]


def _one(name: str, subtest: str = "") -> Expected:
    target, sign, program = name.rpartition(":")
    if sign:
        return Expected(group_of(target), dashed(program), cut(plain(subtest.strip()), NAME_BYTES))
    group, _, test = name.rpartition("/")
    return Expected(group, dashed(test), cut(plain(subtest.strip()), NAME_BYTES))


class Expecting:
    """`suite`, and what `expected` names besides."""

    name: ClassVar[str] = "expecting"
    Config: ClassVar[type[BaseModel]] = Table

    def __init__(self, suite: Suite, expected: tuple[Expected, ...]) -> None:
        self._suite, self._expected = suite, expected
        self._by_test: dict[str, list[Expected]] = {}
        for one in expected:
            self._by_test.setdefault(one.test, []).append(one)

    def paths(self) -> tuple[str, ...] | None:
        return self._suite.paths()

    def base_paths(self) -> tuple[str, ...] | None:
        return base_paths(self._suite)

    def groups(self) -> tuple[str, ...]:
        return self._suite.groups()

    def prepare(self, place: Place) -> tuple[Step, ...]:
        return self._suite.prepare(place)

    def listing(self, place: Place) -> Command | None:
        return self._suite.listing(place)

    def invocations(self, listing: str, place: Place) -> tuple[Invocation, ...]:
        return self._suite.invocations(listing, place)

    def absent(self, listing: str, place: Place) -> tuple[Case, ...]:
        more = self._suite.absent(listing, place) if isinstance(self._suite, Foresees) else ()
        there: dict[str, set[str]] = {}
        for invocation in self._suite.invocations(listing, place):
            there.setdefault(invocation.test, set()).add(invocation.group)
        lost = [one for one in self._expected if not _among(one, there)]
        cases = {(one.group or self.groups()[0], one.test): self._lost(one) for one in lost}
        return (*more, *cases.values())

    def _lost(self, one: Expected) -> Case:
        group = one.group or self.groups()[0]
        return Case(group, one.test, Result.NOT_RUN, detail="expected, and there is no such test")

    def read(self, invocation: Invocation, spoken: Spoken) -> tuple[Case, ...]:
        cases = self._suite.read(invocation, spoken)
        said = {case.subtest for case in cases}
        mine = [one for one in self._by_test.get(invocation.test, ()) if one.group in ("", invocation.group)]
        lost = dict.fromkeys(one.subtest for one in mine if one.subtest not in said)
        detail = "expected, and it did not report"
        first = replace(cases[0], result=Result.NOT_RUN, seconds=None, detail=detail, crashes=())
        return (*cases, *(replace(first, subtest=subtest) for subtest in lost))

    def keep(self, invocation: Invocation, spoken: Spoken) -> Mapping[str, bytes]:
        return self._suite.keep(invocation, spoken) if isinstance(self._suite, Keeps) else {}


def _among(one: Expected, there: Mapping[str, set[str]]) -> bool:
    groups = there.get(one.test)
    return groups is not None and (not one.group or one.group in groups)
