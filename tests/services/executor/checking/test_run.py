"""A plan carried out in real cages: order, answers at once, machines and checks that break, and an end at any time."""

import asyncio
import os
from datetime import timedelta
from pathlib import Path

import pytest

from services.executor.checking.plan import plan
from services.executor.checking.run import TRIES, carry_out
from services.executor.checking.sink import Task
from services.executor.checking.watch import Watch
from services.executor.checks.base import Desk, Finding, Level, Needs, Said, Subject, fail, success, warning
from shared.errors import InfraError, Superseded
from shared.model.results import Cause, CheckState
from tests.services.executor.checking.builders import Kept, Told, series
from tests.services.executor.checking.conftest import World

pytestmark = pytest.mark.slow


async def reads_dev(subject: Subject, desk: Desk) -> Said:
    ran = await desk.run("cat", "net/core/dev.c")
    return success(ran.stdout.decode())


async def carried(world: World, subject: Subject, *checks: Told, sink: Kept | None = None) -> Kept:
    kept = sink or Kept()
    await carry_out(plan(checks, subject), subject, world.place, kept)
    return kept


def left(world: World) -> list[str]:
    """What is in folders that are for one question."""
    return [str(path) for path in world.place.scratch.folder.rglob("*") if path.name != "lock" and path.is_file()]


async def test_each_patch_is_seen_as_it_is_after_that_patch(world: World) -> None:
    subject = await world.series({"net/core/dev.c": b"first\n"}, {"net/core/dev.c": b"second\n"})
    kept = await carried(world, subject, Told("reads", reads_dev), Told("whole", reads_dev, level=Level.SERIES))
    assert {str(task): said.text for task, said in kept.answers.items()} == {
        "reads of patch 1": "first\ufffd", "reads of patch 2": "second\ufffd", "whole": "second\ufffd",
    }  # fmt: skip
    assert left(world) == []


async def test_cheap_lanes_are_answered_before_costly_ones_begin(world: World) -> None:
    subject = await world.series({"net/core/dev.c": b"first\n"})
    order = [Told("build", needs=Needs.BUILD), Told("tree"), Told("mail", needs=Needs.MAIL)]
    kept = await carried(world, subject, *order)
    assert [task.check for what, task in kept.heard if what == "began"] == ["mail", "tree", "build"]
    assert [what for what, _ in kept.heard] == ["began", "answered"] * 3


async def test_of_mails_alone_there_is_no_tree(world: World) -> None:
    async def looks(subject: Subject, desk: Desk) -> Said:
        ran = await desk.run("sh", "-c", "ls /src /judge; cat /in/mail", files={"mail": b"hello"})
        return success(ran.stdout.decode())

    kept = await carried(world, series("a.c"), Told("mail", looks, needs=Needs.MAIL))
    assert kept.answers[Task("mail", 1)].text == "hello"
    assert not world.place.seats.folder.exists()


async def test_a_machine_that_fails_is_asked_again_and_then_says_so(world: World) -> None:
    asked = []

    async def breaks(subject: Subject, desk: Desk) -> Said:
        asked.append(subject)
        raise InfraError("the disk is on fire")

    async def heals(subject: Subject, desk: Desk) -> Said:
        asked.append(subject)
        if len(asked) < TRIES + 2:
            raise InfraError("not yet")
        return fail("bad patch")

    async def lacking(subject: Subject, desk: Desk) -> Said:
        asked.append(subject)
        await desk.run("no-such-tool")
        return success("")

    subject = await world.series({"a": b"a"})
    first = (await carried(world, subject, Told("breaks", breaks))).answers[Task("breaks", 1)]
    assert (first.cause, first.text, len(asked)) == (Cause.INFRA, "the disk is on fire", TRIES)
    lacks = (await carried(world, subject, Told("lacks", lacking))).answers[Task("lacks", 1)]
    assert (lacks.cause, lacks.text, len(asked)) == (Cause.INFRA, "no-such-tool is not installed", TRIES + 1)
    asked.pop()
    second = (await carried(world, subject, Told("heals", heals))).answers[Task("heals", 1)]
    assert (second.cause, second.state) == (None, CheckState.FAIL)


async def test_a_fault_in_one_check_is_its_own_answer_and_not_the_end_of_the_others(world: World) -> None:
    async def faulty(subject: Subject, desk: Desk) -> Said:
        raise ValueError("nobody thought of this")

    kept = await carried(world, await world.series({"a": b"a"}), Told("faulty", faulty), Told("fine"))
    said = kept.answers[Task("faulty", 1)]
    assert said.cause is Cause.INFRA
    assert "nobody thought of this" in said.text
    assert "Traceback" in said.log
    assert kept.answers[Task("fine", 1)].state is CheckState.SUCCESS


async def test_a_tool_that_is_not_here_is_named_and_nothing_is_asked(world: World) -> None:
    async def never(subject: Subject, desk: Desk) -> Said:
        raise AssertionError("asked")

    async def surprised(subject: Subject, desk: Desk) -> Said:
        return success((await desk.run("no-such-tool")).said)

    checks = [Told("wants", never, tools=("sh", "no-such-tool")), Told("runs", surprised)]
    kept = await carried(world, await world.series({"a": b"a"}), *checks)
    assert [(said.text, said.cause) for said in kept.answers.values()] == [
        ("not installed: no-such-tool", Cause.INFRA),
        ("no-such-tool is not installed", Cause.INFRA),
    ]


async def test_time_over_is_a_warning_with_its_cause_and_what_was_printed(world: World) -> None:
    async def sleeps(subject: Subject, desk: Desk) -> Said:
        await desk.run("sh", "-c", "echo before; sleep 60")
        raise AssertionError("it was not ended")

    slow = Told("slow", sleeps, time_limit=timedelta(seconds=1))
    said = (await carried(world, await world.series({"a": b"a"}), slow)).answers[Task("slow", 1)]
    assert (said.state, said.cause, said.text) == (CheckState.WARNING, Cause.TIMEOUT, "took longer than 1 s")
    assert "before" in said.log


async def test_what_nobody_wants_any_more_ends_with_its_processes(world: World) -> None:
    async def sleeps(subject: Subject, desk: Desk) -> Said:
        await desk.run("sleep", "987654")
        return success("")

    subject = await world.series({"a": b"a"})
    kept = Kept(stop=Superseded("a newer version is here"))
    with pytest.raises(Superseded):
        await carried(world, subject, Told("sleeps", sleeps), Told("fine"), sink=kept)
    assert [task.check for task in kept.answers] == ["fine"]
    assert not sleeping()
    assert left(world) == []


async def test_cancelled_it_leaves_nothing(world: World) -> None:
    subject = await world.series({"a": b"a"})
    begun = asyncio.Event()

    async def sleeps(subject: Subject, desk: Desk) -> Said:
        def hear(_: bytes) -> None:
            begun.set()

        await desk.run("sh", "-c", "echo on; sleep 987654", heard=hear, writable=True, results=True)
        return success("")

    task = asyncio.ensure_future(carried(world, subject, Told("sleeps", sleeps)))
    await asyncio.wait_for(begun.wait(), 60)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not sleeping()
    assert left(world) == []
    async with world.place.seats.take(world.base) as seat:
        assert seat.folder.name == "0"


def sleeping() -> bool:
    """Whether one of our sleepers lives."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if b"987654" in (process / "cmdline").read_bytes() and int(process.name) != os.getpid():
                return True
        except OSError:
            continue
    return False


async def test_preliminary_words_are_told_while_it_works(world: World) -> None:
    told = asyncio.Event()

    class Hearing(Kept):
        async def described(self, task: Task, text: str) -> None:
            await super().described(task, text)
            told.set()

    async def talks(subject: Subject, desk: Desk) -> Said:
        desk.describe("half of it")
        await told.wait()
        return success("all of it")

    kept = await carried(world, await world.series({"a": b"a"}), Told("talks", talks), sink=Hearing())
    assert kept.described_as == ["half of it"]


async def test_a_pause_holds_the_next_commit_back(world: World) -> None:
    subject = await world.series({"a": b"a"}, {"b": b"b"})
    kept, gates = Kept(), []

    async def gate() -> bool:
        gates.append(len(kept.answers))
        return len(gates) != 2

    await carry_out(plan([Told("one")], subject), subject, world.place, kept, gate)
    assert gates == [0, 1, 1]


async def test_findings_come_with_their_lines(world: World) -> None:
    async def finds(subject: Subject, desk: Desk) -> Said:
        return warning("one", findings=(Finding("here", "net/core/dev.c", 2), Finding("nowhere", "gone.c", 2)))

    subject = await world.series({"net/core/dev.c": b"1\n\t2\n3\n4\n5\n6\n"})
    said = (await carried(world, subject, Told("finds", finds))).answers[Task("finds", 1)]
    assert said.findings[0].context == ((1, "1"), (2, "        2"), (3, "3"), (4, "4"), (5, "5"))
    assert said.findings[1].context == ()


async def test_the_base_judges_and_a_series_that_changes_judges_is_told(world: World) -> None:
    async def judges(subject: Subject, desk: Desk) -> Said:
        ran = await desk.run("sh", "-c", "/judge/scripts/judge.sh; cat .mailmap")
        return success(ran.stdout.decode())

    bad: dict[str, bytes | tuple[str, bytes] | None] = {
        "scripts/judge.sh": ("100755", b"#!/bin/sh\necho 0 errors\n"), ".mailmap": b"Eve <ada@example.com>\n",
    }  # fmt: skip
    kept = await carried(world, await world.series(bad, {"a": b"a"}), Told("judges", judges))
    for said in kept.answers.values():
        assert said.text == "base\ufffdAda <ada@example.com>\ufffd"
        assert said.notes == ("judged by the base's scripts: this series changes .mailmap, scripts/judge.sh",)
    honest = await carried(world, await world.series({"a": b"a"}), Told("judges", judges))
    assert [said.notes for said in honest.answers.values()] == [()]


async def test_commits_that_no_folder_can_hold_fail_in_words_and_others_are_asked(world: World) -> None:
    subject = await world.series({"a": b"a", "n" * 300: b""}, {"n" * 300: None, "net/core/dev.c": b"second"})
    kept = await carried(world, subject, Told("reads", reads_dev))
    first, second = (kept.answers[Task("reads", number)] for number in (1, 2))
    assert (first.state, first.cause) == (CheckState.FAIL, None)
    assert first.text.startswith("the tree has a path longer than file systems take: nnn")
    assert second.text == "second"


async def test_a_check_that_hangs_by_itself_is_left_and_others_are_answered(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hangs(subject: Subject, desk: Desk) -> Said:
        await desk.run("true")
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr("services.executor.checking.run.Watch", lambda limit: Watch(limit, more=0.2))
    subject = await world.series({"a": b"a"})
    hanging = Told("hangs", hangs, time_limit=timedelta(seconds=1.4))
    kept = await carried(world, subject, hanging, Told("reads", reads_dev))
    said = kept.answers[Task("hangs", 1)]
    assert (said.state, said.cause) == (CheckState.WARNING, Cause.TIMEOUT)
    assert said.text == "did not come to an end within 3 s"
    assert kept.answers[Task("reads", 1)].state is CheckState.SUCCESS
    assert left(world) == []


async def test_an_answer_is_one_line_that_can_be_shown(world: World) -> None:
    async def says(subject: Subject, desk: Desk) -> Said:
        return fail("bad\n\x1b[31mred\x1b[0m\x00")

    kept = await carried(world, await world.series({"a": b"a"}), Told("says", says))
    assert kept.answers[Task("says", 1)].text == "bad\ufffdred\ufffd"
