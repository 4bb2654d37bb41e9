"""What a manifest says of a run, one poll after the other."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.remotes import book
from services.ingest.remotes.book import NEVER, Run, State, Step, Times
from shared.formats.nipa import Entry

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
BRANCH = "net-next-2026-11-25--12-00"
URL = "https://lab.example.org/results-1.json"
TIMES = Times(timedelta(minutes=30), timedelta(hours=24))


def entry(url: str | None = None, executor: str = "nic", branch: str = BRANCH) -> Entry:
    return Entry(branch, executor, url)


def a_run(**more: object) -> Run:
    return replace(Run("nic", BRANCH, due=NOW), **more)  # type: ignore[arg-type]


def after(run: Run | None, *said: Entry, now: datetime = NOW) -> list[Run]:
    return book.compare({run.key: run} if run else {}, said, now)


def step(run: Run, now: datetime = NOW, heard: datetime | None = NOW) -> Step:
    return book.next_step(run, now, TIMES, heard)[0]


def test_a_pending_entry_is_opened_and_one_with_a_file_taken() -> None:
    assert [step(run) for run in after(None, entry())] == [Step.OPEN]
    assert [step(run) for run in after(None, entry(URL))] == [Step.TAKE]


def test_what_is_said_again_is_no_news() -> None:
    [run] = after(None, entry())
    assert after(run, entry()) == []


def test_the_file_of_an_open_run_closes_it() -> None:
    [run] = after(book.opened(a_run(), 7, NOW), entry(URL))
    assert (run.state, run.run_id, run.attempt, step(run)) == (State.OPEN, 7, 0, Step.TAKE)


def test_an_open_run_that_vanishes_is_waited_for_and_then_given_up() -> None:
    [run] = after(book.opened(a_run(), 7, NOW))
    assert run.gone == NOW
    assert step(run, NOW + timedelta(minutes=29)) is Step.REST
    chosen, why = book.next_step(run, NOW + timedelta(minutes=30), TIMES)
    assert (chosen, why) == (Step.LOSE, "gone from the manifest since 2026-11-25 12:00 UTC")


def test_one_that_comes_back_in_time_goes_on() -> None:
    [gone] = after(book.opened(a_run(), 7, NOW))
    [run] = after(gone, entry(), now=NOW + timedelta(minutes=5))
    assert (run.gone, run.attempt, step(run, NOW + timedelta(hours=1))) == (None, 0, Step.REST)


def test_a_run_without_an_end_is_given_up() -> None:
    run = book.opened(a_run(), 7, NOW)
    assert step(run, NOW + timedelta(hours=23), NOW + timedelta(hours=23)) is Step.REST
    assert step(run, NOW + timedelta(hours=24), NOW + timedelta(hours=24)) is Step.LOSE


def test_a_run_past_its_end_is_given_up_when_the_manifest_is_not_seen() -> None:
    run = replace(book.opened(a_run(), 7, NOW), overdue=True)
    assert step(run, NOW + timedelta(minutes=29)) is Step.REST
    assert step(run, NOW + timedelta(minutes=30)) is Step.LOSE
    assert step(replace(run, overdue=False), NOW + timedelta(minutes=30)) is Step.REST


@pytest.mark.parametrize("said", [entry(), entry(URL)])
def test_what_is_said_of_a_lost_run_is_another_attempt(said: Entry) -> None:
    gone = replace(book.opened(a_run(), 7, NOW), gone=NOW)
    [run] = after(book.lost(gone, "gone"), said)
    assert (run.state, run.attempt, run.run_id) == (State.WAITS, 1, None)


def test_a_lost_run_that_is_still_said_to_be_running_stays_lost() -> None:
    assert after(book.lost(book.opened(a_run(), 7, NOW), "too long"), entry()) == []


def test_a_taken_run_that_is_begun_again_is_another_attempt() -> None:
    run = book.taken(a_run(url=URL), 7, "t", "d", "", NOW)
    [fresh] = after(run, entry())
    assert (fresh.state, fresh.attempt, fresh.run_id, step(fresh)) == (State.WAITS, 1, None, Step.OPEN)


def test_a_taken_run_at_a_new_address_is_compared_first() -> None:
    run = book.taken(a_run(url=URL), 7, "t", "d", "", NOW)
    [moved] = after(run, entry(URL + "2"))
    assert (moved.state, moved.attempt, moved.due, step(moved)) == (State.TAKEN, 0, NOW, Step.COMPARE)


def test_a_file_is_looked_at_a_few_times_more() -> None:
    run = book.taken(a_run(url=URL), 7, "t", "d", "", NOW)
    seen = []
    while run.due != NEVER:
        seen.append(run.due - NOW)
        run = book.looked(run, run.due)
    assert seen == [timedelta(minutes=10), timedelta(minutes=70), timedelta(minutes=430)]


def test_a_bad_file_is_tried_more_and_more_slowly_and_given_up_after_a_day() -> None:
    run, now, tries = a_run(url=URL), NOW, 0
    while run.state is not State.REFUSED:
        run = book.failed(run, "not JSON", now, timedelta(minutes=1))
        now, tries = run.due if run.due != NEVER else now, tries + 1
        assert tries < 50
    assert timedelta(days=1) <= now - NOW < timedelta(days=1, hours=1)
    assert tries == pytest.approx(30, abs=3)
    assert step(run, now) is Step.REST
    [fixed] = after(run, entry(URL + "2"), now=now)
    assert (fixed.state, fixed.attempt, fixed.since, step(fixed, now)) == (State.WAITS, 0, None, Step.TAKE)


def test_a_run_is_not_begun_for_ever() -> None:
    run = a_run(attempt=9, run_id=7, state=State.LOST, reason="gone")
    assert book.again(run).ended


def test_a_change_of_a_taken_file_is_told_once() -> None:
    run = book.taken(a_run(url=URL), 7, "t", "d", "", NOW)
    run, told = book.changed(run, "e" * 64, NOW)
    assert told
    assert not book.changed(run, "e" * 64, NOW)[1]
    assert book.changed(run, "f" * 64, NOW)[1]


def test_of_two_entries_for_one_run_the_one_with_a_file_counts() -> None:
    runs = after(None, entry(URL), entry(), entry(executor="other"), entry(URL, "other"))
    assert {(run.executor, run.url) for run in runs} == {("nic", URL), ("other", URL)}


ENTRIES = st.lists(
    st.builds(
        Entry, branch=st.sampled_from(["a", "b"]), executor=st.sampled_from(["x", "y"]),
        url=st.sampled_from([None, URL, URL + "2"]),
    ), max_size=6,
)  # fmt: skip


@given(st.lists(ENTRIES, max_size=8))
def test_the_same_manifest_twice_is_the_same_as_once(polls: list[list[Entry]]) -> None:
    known: dict[tuple[str, str], Run] = {}
    for said in polls:
        known |= {run.key: run for run in book.compare(known, said, NOW)}
        assert book.compare(known, said, NOW + timedelta(hours=1)) == []
