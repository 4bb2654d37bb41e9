"""public-inbox archives."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from services.ingest.lists import inbox
from services.ingest.lists.inbox import Batch, Inbox, read_place
from shared.errors import Refused
from tests.services.ingest.build import WHEN, a_mail
from tests.services.ingest.lists.archives import archive, git


def some(count: int, first: int = 0) -> list[bytes]:
    return [a_mail(f"[PATCH] a: {n}", f"{n}@x") for n in range(first, first + count)]


async def read(path: Path, place: str = "", **how: int) -> list[Batch]:
    return [batch async for batch in Inbox(path, **how).batches(place)]


def raws(batches: list[Batch]) -> list[bytes | None]:
    return [posted.raw for batch in batches for posted in batch.mails]


async def test_mails_come_in_the_order_of_delivery_with_their_time(tmp_path: Path) -> None:
    mails = some(5)
    batches = await read(archive(tmp_path / "0.git", list(mails)))
    assert raws(batches) == mails
    assert [posted.received for posted in batches[0].mails] == [WHEN + timedelta(minutes=n) for n in range(5)]


async def test_one_goes_on_after_any_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox, "BATCH", 3)
    mails = some(10)
    path = archive(tmp_path / "0.git", list(mails))
    batches = await read(path)
    assert [len(batch.mails) for batch in batches] == [3, 3, 3, 1]
    for number, batch in enumerate(batches, 1):
        assert raws(batches[:number]) + raws(await read(path, batch.place)) == mails
    more = some(2, 10)
    archive(path, list(more), begin=WHEN + timedelta(days=1))
    assert raws(await read(path, batches[-1].place)) == more


async def test_what_was_taken_back_is_left_out(tmp_path: Path) -> None:
    mails = some(3)
    batches = await read(archive(tmp_path / "0.git", [mails[0], None, mails[1]]))
    assert raws(batches) == mails[:2]
    assert raws(await read(tmp_path / "0.git", batches[-1].place)) == []


@pytest.mark.parametrize("folder", ["", "git"])
async def test_epochs_follow_each_other_by_number(tmp_path: Path, folder: str) -> None:
    mails = some(11)
    for epoch in (10, 0, 2):
        archive(tmp_path / folder / f"{epoch}.git", [mails[epoch]])
    batches = await read(tmp_path)
    assert raws(batches) == [mails[0], mails[2], mails[10]]
    archive(tmp_path / folder / "11.git", [a_mail("[PATCH] new", "new@x")])
    assert len(raws(await read(tmp_path, batches[-1].place))) == 1


async def test_a_rewritten_history_is_read_again_and_loses_nothing(tmp_path: Path) -> None:
    mails = some(4)
    path = archive(tmp_path / "0.git", list(mails))
    [batch] = await read(path)
    archive(path, list(some(3, 1)), orphan=True)
    assert raws(await read(path, batch.place)) == some(3, 1)


async def test_a_mail_that_is_too_large_is_said_and_stops_nothing(tmp_path: Path) -> None:
    mails = [a_mail("[PATCH] a", "a@x"), a_mail("[PATCH] b", "b@x", body="x" * 50_000), a_mail("[PATCH] c", "c@x")]
    path = archive(tmp_path / "0.git", list(mails))
    assert raws(await read(path, most=20_000)) == [mails[0], None, mails[2]]


async def test_only_what_came_lately(tmp_path: Path) -> None:
    path = archive(tmp_path / "0.git", list(some(2)), begin=datetime.now(UTC) - timedelta(days=30))
    archive(path, list(some(2, 2)), begin=datetime.now(UTC) - timedelta(hours=1))
    found = [batch async for batch in Inbox(path).batches(since=timedelta(days=14))]
    assert raws(found) == some(2, 2)


async def test_an_empty_archive_has_nothing_and_a_place_that_is_none_is_the_beginning(tmp_path: Path) -> None:
    path = archive(tmp_path / "0.git", [])
    assert await read(path) == []
    archive(path, list(some(1)))
    for place in ("", "{", "[1]", '{"0.git": "; rm"}', '{"0.git": "' + "0" * 40 + '"}'):
        assert raws(await read(path, place)) == some(1)
    assert read_place("7") == {}


async def test_what_is_no_archive_is_named(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"neither a git repository nor a folder with git/0\.git"):
        await read(tmp_path)
    code = archive(tmp_path / "code.git", list(some(1)), name="main.c")
    with pytest.raises(Refused, match="its commits hold no m"):
        await read(code)
    assert git(code, "rev-list", "--count", "HEAD") == "1"
