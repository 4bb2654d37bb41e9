"""What every body of `Sink` keeps: what was said stands, for the next owner too, and nothing comes after the end."""

from datetime import timedelta
from pathlib import PurePosixPath

import pytest

from services.executor.drivers.base import Command
from services.executor.endings import Ending
from services.executor.schedule import Task
from services.executor.sink import Sink
from services.executor.suites.attempt import Attempt
from services.executor.suites.base import Invocation
from shared.clock import wall
from shared.errors import Superseded
from shared.model.results import Case, Cause, Result
from tests.contract.labs import HOSTS, Rig, begun, taken

SOON = timedelta(minutes=10)


def a_task(test: str, number: int = 0) -> Task:
    return Task(Invocation("g", test, Command(("true",), cwd=PurePosixPath("/")), SOON), number)


def an_attempt(test: str, result: Result = Result.PASS, number: int = 0, *below: Case, detail: str = "") -> Attempt:
    cause = Cause.INFRA if detail else None
    case = Case("g", test, result, attempt=number, cause=cause, seconds=2.0, detail=detail)
    return Attempt("g", test, number, (case, *below), {f"g/{test}/{number}/stdout": test.encode()}, 2.0)


async def do(sink: Sink, attempt: Attempt, host: str = HOSTS[0]) -> None:
    await sink.began(a_task(attempt.test, attempt.number), host)
    await sink.ended(attempt, host, wall() + SOON)


async def test_a_new_run_has_no_past(rig: Rig) -> None:
    await rig.announce()
    history = await (await begun(await taken(rig.work()))).stands()
    assert (list(history.finished), dict(history.interrupted), dict(history.hosts)) == ([], {}, {})


async def test_cases_with_their_subtests_and_retries_arrive_once(rig: Rig) -> None:
    await rig.announce()
    sink = await begun(await taken(rig.work()))
    await sink.planned(2, wall() + SOON)
    await do(sink, an_attempt("a", Result.FAIL, 0, Case("g", "a", Result.FAIL, "sub")))
    await do(sink, an_attempt("a", Result.PASS, 1))
    await sink.not_run([Case("g", "late", Result.NOT_RUN, cause=Cause.TIMEOUT, detail="the deadline came")])
    await sink.end(Ending())
    assert await rig.told() == [
        ("a", "", 0, "fail"), ("a", "sub", 0, "fail"), ("a", "", 1, "pass"), ("late", "", 0, "not-run"),
    ]  # fmt: skip


async def test_who_takes_it_over_knows_what_ended_where_and_what_was_broken_off(rig: Rig) -> None:
    await rig.announce()
    sink = await begun(await taken(rig.work()))
    await do(sink, an_attempt("a", Result.FAIL), HOSTS[1])
    await sink.began(a_task("b"), HOSTS[0])
    history = await (await begun(await taken(rig.work()))).stands()
    assert [(c.test, c.result, c.attempt) for c in history.finished] == [("a", Result.FAIL, 0)]
    assert dict(history.interrupted) == {("g", "b", 0): 1}
    assert history.hosts["g", "a"] == HOSTS[1]


async def test_each_death_in_one_test_is_counted(rig: Rig) -> None:
    await rig.announce()
    for _ in range(3):
        await (await begun(await taken(rig.work()))).began(a_task("b"), HOSTS[0])
    history = await (await begun(await taken(rig.work()))).stands()
    assert dict(history.interrupted) == {("g", "b", 0): 3}


async def test_the_next_run_knows_how_long_tests_take(rig: Rig) -> None:
    await rig.announce(8)
    sink = await begun(await taken(rig.work()))
    await do(sink, an_attempt("a"))
    await sink.end(Ending())
    await rig.announce(9)
    history = await (await begun(await taken(rig.work()))).stands()
    assert history.seconds["g", "a"] == pytest.approx(2.0)


async def test_what_tests_printed_is_kept_whoever_owned_the_run(rig: Rig) -> None:
    await rig.announce()
    await do(await begun(await taken(rig.work())), an_attempt("a"))
    sink = await begun(await taken(rig.work()))
    await do(sink, an_attempt("b"))
    await sink.end(Ending())
    assert await rig.logs() == {"a": b"a", "b": b"b"}


async def refused(sink: Sink) -> None:
    with pytest.raises(Superseded):
        await sink.began(a_task("x"), HOSTS[0])
    with pytest.raises(Superseded):
        await sink.ended(an_attempt("x"), HOSTS[0], wall() + SOON)
    with pytest.raises(Superseded):
        await sink.not_run([Case("g", "x", Result.NOT_RUN)])
    with pytest.raises(Superseded):
        await sink.host(HOSTS[0], "busy", "")
    with pytest.raises(Superseded):
        await sink.end(Ending())


async def test_nothing_comes_after_the_end(rig: Rig) -> None:
    await rig.announce()
    sink = await begun(await taken(rig.work()))
    await do(sink, an_attempt("a"))
    await sink.end(Ending())
    await refused(sink)
    assert await rig.told() == [("a", "", 0, "pass")]


async def test_nothing_comes_from_a_former_owner(rig: Rig) -> None:
    await rig.announce()
    work = rig.work()
    claim = await taken(work)
    old = await begun(claim)
    new = await begun(await taken(await rig.lost(claim, work)))
    await refused(old)
    await new.end(Ending("abandoned", "infra", "no machine"))
    assert await rig.ended() == ("abandoned", "no machine")
    assert await rig.told() == []


async def test_what_we_say_of_machines_names_none(rig: Rig) -> None:
    await rig.announce()
    sink = await begun(await taken(rig.work()))
    await do(sink, an_attempt("a", Result.NOT_RUN, detail="lost root@vm1 and root@vm2"))
    await sink.end(Ending())
    assert await rig.details() == ["lost host1 and host2"]
