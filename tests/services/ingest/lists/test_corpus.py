"""Every thread of the corpus gives the series that a reader sees, whatever order its mails came in."""

import random

import pytest

from services.ingest.lists.mailbox import Found, Reading, read_mailbox
from tests.services.ingest.lists.corpus import CASES, Case, every_case, full


def lines_of(case: Case, reading: Reading) -> list[str]:
    """The series as the corpus writes them."""
    short = {full(case.name, post.id): post.id for post in case.posts if post.id}
    return [_line(one, short) for one in reading.found]


def _line(one: Found, short: dict[str, str]) -> str:
    ids = [short.get(letter.message_id, "?") for letter in one.thread.letters]
    return " ".join([*ids, *([] if one.state in ("active", "malformed") else [one.state])])


def test_the_corpus_is_large() -> None:
    assert len(CASES) >= 60


@pytest.mark.parametrize("name", CASES)
def test_a_thread_gives_its_series(name: str) -> None:
    case = CASES[name]
    reading = read_mailbox(case.mails())
    assert sorted(lines_of(case, reading)) == sorted(case.expected)
    assert not reading.unread


@pytest.mark.parametrize("name", CASES)
def test_each_series_is_explained(name: str) -> None:
    for one in read_mailbox(CASES[name].mails()).found:
        if len(one.thread.letters) > 1:
            assert one.thread.why
        for _, reason in one.thread.left_out:
            assert reason


def test_200_orders_of_all_end_the_same() -> None:
    mails = [mail for case in every_case() if case.name != "huge" for mail in case.mails()]
    rng = random.Random(7)
    first = _told(read_mailbox(mails))
    for _ in range(200):
        rng.shuffle(mails)
        assert _told(read_mailbox(mails)) == first


def _told(reading: Reading) -> list[tuple[object, ...]]:
    return [
        (
            [(letter.message_id, letter.digest) for letter in one.thread.letters], one.state, one.newer,
            sorted(one.thread.why), [(letter.message_id, reason) for letter, reason in one.thread.left_out],
        )
        for one in reading.found
    ]  # fmt: skip


def test_all_together_are_what_each_is_alone() -> None:
    """Threads of others on the list change nothing."""
    alone = [lines_of(case, read_mailbox(case.mails())) for case in every_case()]
    together = read_mailbox([mail for case in every_case() for mail in case.mails()])
    assert len(together.found) == sum(len(lines) for lines in alone)
