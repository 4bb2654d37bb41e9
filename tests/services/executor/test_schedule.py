"""The board: whatever hosts, results and breakages come, each test ends exactly once, the longest first."""

from datetime import UTC, datetime, timedelta
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from services.executor.drivers.base import Command
from services.executor.retry import BREAKS
from services.executor.schedule import Board, Key, Past, Task, fits
from services.executor.suites.base import Invocation

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
FAR = NOW + timedelta(days=1)
MANY = 20


def an_invocation(name: str) -> Invocation:
    return Invocation("g", name, Command(("true",)), timedelta(minutes=1))


def a_board(*names: str, past: Past | None = None) -> Board:
    return Board([an_invocation(name) for name in names], past or Past())


def seconds(**known: float) -> Past:
    return Past(seconds={("g", name): value for name, value in known.items()})


def take(board: Board, host: str = "h", alive: set[str] | None = None, deadline: datetime = FAR) -> Task:
    task = board.take(host, alive or {host}, NOW, deadline)
    assert task is not None
    return task


def test_longest_first_and_the_unknown_before_all() -> None:
    board = a_board("short", "long", "new", "mid", past=seconds(short=1, long=100, mid=10))
    assert [take(board).key[1] for _ in range(4)] == ["new", "long", "mid", "short"]


def test_a_retry_avoids_its_host_while_another_is_alive() -> None:
    board = a_board("a")
    board.ended(take(board, "one"), "one", again=True)
    assert board.take("one", {"one", "two"}, NOW, FAR) is None
    task = take(board, "two", {"one", "two"})
    assert (task.number, task.avoid) == (1, "one")
    board.give_back(task)
    assert take(board, "one", {"one"}).number == 1


def test_a_retry_at_home_comes_after_all_that_is_new() -> None:
    board = a_board("failed", "other", past=seconds(failed=100, other=1))
    board.ended(take(board), "h", again=True)
    assert [take(board).key[1] for _ in range(2)] == ["other", "failed"]


def test_the_longest_that_still_fits_is_taken() -> None:
    board = a_board("long", "short", past=seconds(long=3600, short=60))
    deadline = NOW + timedelta(minutes=10)
    assert take(board, deadline=deadline).key[1] == "short"
    assert board.take("h", {"h"}, NOW, deadline) is None
    assert [task.key[1] for task in board.unfit(NOW, deadline)] == ["long"]
    assert not board.done


def test_a_machine_lost_is_no_attempt_used_up() -> None:
    board = a_board("a")
    for _ in range(BREAKS - 1):
        task = take(board)
        assert task.number == 0
        assert board.broke(task, "h")
    assert not board.broke(take(board), "h")
    assert board.done


def test_taken_over_runs_go_on_where_they_were() -> None:
    past = Past(
        ended={("g", "passed"): (0, False, "x"), ("g", "failed"): (0, True, "x"), ("g", "twice"): (1, False, "x")},
        interrupted={("g", "cut", 0): 1, ("g", "cursed", 0): BREAKS, ("g", "failed", 0): BREAKS},
    )
    board = a_board("passed", "failed", "twice", "cut", "cursed", "new", past=past)
    left = board.drain()
    assert {(task.key[1], task.number, task.avoid) for task in left} == {
        ("failed", 1, "x"), ("cut", 0, ""), ("new", 0, ""),
    }  # fmt: skip
    assert [task.key[1] for task in board.lost] == ["cursed"]


def test_the_expected_end_is_the_work_spread_but_not_less_than_the_longest() -> None:
    board = a_board("a", "b", "c", past=seconds(a=60, b=30, c=30))
    assert board.expected_end(NOW, 2) == NOW + timedelta(seconds=60)
    assert board.expected_end(NOW, 10) == NOW + timedelta(seconds=60)
    assert board.expected_end(NOW, 0) == NOW + timedelta(seconds=120)
    running = take(board)
    assert board.expected_end(NOW, 1, ending=running) == NOW + timedelta(seconds=60)
    assert a_board().expected_end(NOW, 1) == NOW


@given(
    st.dictionaries(st.integers(0, MANY), st.one_of(st.none(), st.floats(0, 4000)), max_size=MANY),
    st.integers(1, 4), st.integers(0, 2), st.integers(0, 2**32),
)  # fmt: skip
def test_every_test_ends_once(durations: dict[int, float | None], hosts: int, retries: int, seed: int) -> None:
    chance, names = Random(seed), [f"h{n}" for n in range(hosts)]
    known = {("g", f"t{n}"): value for n, value in durations.items() if value is not None}
    board = Board([an_invocation(f"t{n}") for n in durations], Past(seconds=known))
    deadline, now = NOW + timedelta(hours=1), NOW
    ends: dict[Key, list[str]] = {("g", f"t{n}"): [] for n in durations}
    running: list[tuple[Task, str]] = []
    alive = set(names)
    for _ in range(1000):
        if board.done:
            break
        host = chance.choice(names)
        busy = {who for _, who in running}
        task = None if host in busy or host not in alive else board.take(host, alive, now, deadline)
        if task is not None:
            assert fits(task, now, deadline), "started what could not end"
            assert task.avoid != host or alive == {host}, "tried again where it failed"
            assert all(task.key != other.key for other, _ in running), "in two places at once"
            running.append((task, host))
            continue
        now += timedelta(seconds=chance.uniform(0, 300))
        if running:
            task, host = running.pop(chance.randrange(len(running)))
            _settle(board, task, host, chance, retries, ends)
            continue
        alive = set(chance.sample(names, chance.randint(1, hosts)))
        for late in board.unfit(now, deadline):
            if late.number == 0:
                ends[late.key].append("late")
    assert board.done
    assert all(len(how) == 1 for how in ends.values())


def _settle(board: Board, task: Task, host: str, chance: Random, retries: int, ends: dict[Key, list[str]]) -> None:
    match chance.choice(("pass", "fail", "break", "back")):
        case "break":
            if not board.broke(task, host) and task.number == 0:
                ends[task.key].append("not run")
        case "back":
            board.give_back(task)
        case said:
            if task.number == 0:
                ends[task.key].append("done")
            board.ended(task, host, again=said == "fail" and task.number < retries)
