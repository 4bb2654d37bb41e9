"""The practice series: real mails, that git takes, of six roles that hold for every seed."""

import email
import email.policy
from email.message import EmailMessage
from pathlib import Path

import pytest

from shared.practice.tree import git
from shared.practice.world_series import PracticeSeries, Role, World, write

SEEDS = range(6)


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> list[World]:
    return [write(tmp_path_factory.mktemp(f"world{seed}"), seed) for seed in SEEDS]


def read(mail: bytes) -> EmailMessage:
    return email.message_from_bytes(mail, policy=email.policy.default)


def a_work_tree(world: World, folder: Path) -> Path:
    git(folder, "clone", "--quiet", str(world.tree.path), "work")
    git(folder / "work", "config", "user.name", "A Tester")
    git(folder / "work", "config", "user.email", "tester@practice.example")
    return folder / "work"


def apply(work: Path, series: PracticeSeries) -> bool:
    """Whether ``git am`` takes the patches; if not, everything is as it was."""
    try:
        for mail in series.mails[series.cover :]:
            git(work, "am", "--quiet", stdin=mail)
    except RuntimeError:
        git(work, "am", "--abort")
        return False
    return True


def test_one_seed_is_one_world(worlds: list[World], tmp_path: Path) -> None:
    assert write(tmp_path, 1).series == worlds[1].series
    assert worlds[1].series != worlds[2].series


def test_seeds_vary_the_order_but_never_rival_or_version_first(worlds: list[World]) -> None:
    orders = {tuple(series.role for series in world.series) for world in worlds}
    assert len(orders) > 2
    for order in orders:
        assert sorted(order) == sorted(Role)
        assert order.index(Role.GOOD) < order.index(Role.CONFLICTING)
        assert order.index(Role.OLD) < order.index(Role.NEW)


def test_each_series_applies_alone_and_the_right_ones_together(worlds: list[World], tmp_path: Path) -> None:
    for number, world in enumerate(worlds):
        (tmp_path / str(number)).mkdir()
        work = a_work_tree(world, tmp_path / str(number))
        for series in world.series:
            assert apply(work, series), series.name
            git(work, "reset", "--quiet", "--hard", world.tree.heads["main"])
        for role in (Role.GOOD, Role.FLAKY, Role.BREAKING, Role.NEW):
            assert apply(work, world.by_role(role)), role
        assert not apply(work, world.by_role(Role.CONFLICTING))


def test_applied_mails_make_the_commits_that_were_sent(worlds: list[World], tmp_path: Path) -> None:
    world = worlds[0]
    work = a_work_tree(world, tmp_path)
    series = world.by_role(Role.GOOD)
    apply(work, series)
    log = git(work, "log", "--reverse", "--format=%an <%ae> %s", "origin/main..").decode().splitlines()
    assert log == [f"{series.author} {title}" for title in series.titles[1:]]


def test_mails_are_threaded_like_git_send_email_does(worlds: list[World]) -> None:
    for series in (series for world in worlds for series in world.series):
        mails = [read(mail) for mail in series.mails]
        assert [mail["Message-Id"].strip("<>") for mail in mails] == list(series.message_ids)
        assert "In-Reply-To" not in mails[0]
        assert {mail["In-Reply-To"] for mail in mails[1:]} <= {f"<{series.message_ids[0]}>"}
        dates = [mail["Date"].datetime for mail in mails]
        assert dates == sorted(dates)
        assert dates[0] == series.date


def test_subjects_name_tree_version_and_place(worlds: list[World]) -> None:
    subjects = {series.role: [str(read(mail)["Subject"]) for mail in series.mails] for series in worlds[0].series}
    good = worlds[0].by_role(Role.GOOD)
    assert subjects[Role.GOOD] == [f"[PATCH net-next {n}/3] {title}" for n, title in enumerate(good.titles)]
    assert subjects[Role.NEW] == [f"[PATCH net-next v2] {worlds[0].by_role(Role.NEW).title}"]
    assert subjects[Role.OLD] == [f"[PATCH net-next] {worlds[0].by_role(Role.NEW).title}"]


def test_some_author_is_not_ascii_and_every_from_is_encoded(worlds: list[World]) -> None:
    authors = {series.author for world in worlds for series in world.series}
    assert any(not author.name.isascii() for author in authors)
    for series in (series for world in worlds for series in world.series):
        for mail in series.mails:
            head = mail.split(b"\n\n", 1)[0]
            assert head.isascii()
            assert read(mail)["From"].addresses[0].display_name == series.author.name
