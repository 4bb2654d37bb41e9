"""What a builder says: answers to what was asked, and nothing else."""

import asyncio
import io
import json

import pytest

from services.executor.check_queue.told import MOST_SECONDS, told
from services.executor.checking.sink import Task
from services.executor.checks.base import Finding, Said, Subject, fail
from services.executor.local.screen import Lines
from shared.errors import InfraError
from shared.model.results import Cause, CheckState

TASK = Task("build_clang", 2)


def said_by(*what: tuple[str, object]) -> list[bytes]:
    """The lines of a builder's own program."""
    out = io.StringIO()
    lines = Lines(out, Subject("netdev", "t", ()))

    async def say() -> None:
        for verb, given in what:
            match given:
                case Said():
                    await lines.answered(TASK, given, 1.5)
                case str():
                    await getattr(lines, verb)(TASK, given)
                case _:
                    await lines.began(TASK)
        lines.end()

    asyncio.run(say())
    return out.getvalue().encode().splitlines()


def test_an_answer_comes_through_whole() -> None:
    finding = Finding("unused", "net/a.c", 3, "warning", True, ((2, "a"), (3, "b")))
    answer = fail("1 new", findings=(finding,), log="make\x1b[31m\n", files={"diff": b"\x00\xff"}, counts={"new": 1},
                  notes=("judged by the base",), repeat="make W=1", cause=Cause.PATCH)  # fmt: skip
    began, described, answered, done = said_by(("began", None), ("described", "at it"), ("answered", answer))
    assert [told(line, {TASK}) and told(line, {TASK}).what for line in (began, described)] == ["began", "described"]  # type: ignore[union-attr]
    found = told(answered, {TASK})
    assert found is not None
    assert (found.said, found.seconds) == (answer, 1.5)
    assert told(done, {TASK}) is None


def test_letters_that_are_none_are_no_fault_of_the_builder() -> None:
    answered, _ = said_by(("answered", fail("of \udcff", findings=(Finding("\ud800"),))))
    found = told(answered, {TASK})
    assert found is not None
    assert found.said is not None
    assert [found.said.text, found.said.findings[0].text] == ["of ?", "?"]


def test_what_was_not_asked_is_not_heard() -> None:
    answered, _ = said_by(("answered", Said(CheckState.SUCCESS, "x")))
    assert told(answered, {Task("build_clang", 1)}) is None


@pytest.mark.parametrize(
    "line",
    [
        b"make: *** [x] Error 1", b"[]", b"{}", b'{"what": "answered", "check": "build_clang", "patch": 2}',
        b'{"what": "shouted", "check": "build_clang", "patch": 2}', b'{"what": "began", "check": "x", "patch": "two"}',
        b"\xff\xfe", b"[" * 5000, b'{"what": "began", "check": "build_clang", "patch": Infinity}',
        b'{"what": "began", "check": "build_clang", "patch": true}',
        b'{"what": "described", "check": "build_clang", "patch": 2, "text": ["x"]}',
    ],
)  # fmt: skip
def test_what_has_not_the_form_is_the_builders_fault(line: bytes) -> None:
    with pytest.raises(InfraError, match="nobody understands"):
        told(line, {TASK})


def test_a_state_that_there_is_not_is_no_answer() -> None:
    answered, _ = said_by(("answered", Said(CheckState.SUCCESS, "x")))
    facts = json.loads(answered)
    facts["report"]["state"] = "splendid"
    with pytest.raises(InfraError):
        told(json.dumps(facts).encode(), {TASK})


@pytest.mark.parametrize(
    "wrong",
    [
        {"seconds": float("nan")}, {"seconds": float("inf")}, {"seconds": "1"}, {"text": ["x"]}, {"repeat": 1},
        {"notes": "abc"}, {"notes": [1]}, {"counts": {"new": "1"}}, {"counts": []}, {"patch": "2"},
        {"findings": [{"text": 1}]}, {"findings": [{"text": "x", "line": "3"}]}, {"findings": [{"line": 3}]},
        {"findings": [{"text": "x", "context": [["1", "a"]]}]}, {"findings": {}}, {"cause": "bad luck"},
    ],
)  # fmt: skip
def test_what_is_of_another_kind_is_no_answer(wrong: dict[str, object]) -> None:
    answered, _ = said_by(("answered", Said(CheckState.SUCCESS, "x")))
    facts = json.loads(answered)
    facts["report"] |= wrong
    with pytest.raises(InfraError, match="nobody understands"):
        told(json.dumps(facts).encode(), {TASK})


@pytest.mark.parametrize(("says", "taken"), [(-5, 0.0), (1e30, MOST_SECONDS), (7, 7.0)])
def test_no_answer_took_less_than_nothing_or_for_ever(says: float, taken: float) -> None:
    answered, _ = said_by(("answered", Said(CheckState.SUCCESS, "x")))
    facts = json.loads(answered)
    facts["report"]["seconds"] = says
    found = told(json.dumps(facts).encode(), {TASK})
    assert found is not None
    assert found.seconds == taken
