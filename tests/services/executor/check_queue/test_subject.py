"""Series as their checks look at them: mails in order, commits beside them, pull requests as a whole."""

import pytest

from services.branch.gate import Gate, against
from services.executor.check_queue.subject import LARGEST, as_applied, as_mailed, mails_of
from services.executor.checking.plan import AS_ONE, NO_PULLS, plan
from services.executor.checking.sink import Task
from services.executor.checks.base import Needs, OurCheck, Subject
from shared.errors import Refused

ABOUT = Subject("netdev", "tcp: two things", (), marked=True)
COVER = b"From: Ada <ada@example.org>\nMessage-Id: <c@x>\nSubject: [PATCH net-next 0/2] tcp: two things\n\nWhy.\n"


def letter(number: int, diff: bool = True) -> bytes:
    change = (
        f"diff --git a/f{number} b/f{number}\n--- a/f{number}\n+++ b/f{number}\n@@ -1 +1 @@\n-a\n+b\n" if diff else ""
    )
    return (
        f"From git@z Thu Jan  1 00:00:00 1970\nFrom: Ada <ada@example.org>\nMessage-Id: <{number}@x>\n"
        f"Subject: [PATCH net-next {number}/2] tcp: {number}\n\nBecause.\n---\n{change}\n"
    ).encode()


BOTH = letter(2) + letter(1)


def test_patches_come_in_the_series_order_with_what_they_touch() -> None:
    found = as_mailed(ABOUT, mails_of(BOTH, ("1@x", "2@x")), COVER, "")
    assert [(p.number, p.mail.message_id, p.paths) for p in found.patches] == [(1, "1@x", ("f1",)), (2, "2@x", ("f2",))]
    assert found.cover is not None
    assert found.cover.subject.number == 0
    assert (found.pull, found.cover_pull, found.marked) == ("", False, True)


def test_where_ids_are_lost_everything_with_a_diff_counts() -> None:
    assert [mail.message_id for mail in mails_of(BOTH + letter(3, diff=False), ("lost@x",))] == ["2@x", "1@x"]


def test_what_is_too_large_is_not_read() -> None:
    with pytest.raises(Refused, match="bytes"):
        mails_of(b" " * (LARGEST + 1), ())


def test_commits_stand_beside_their_patches() -> None:
    mailed = as_mailed(ABOUT, mails_of(BOTH, ("1@x", "2@x")), b"", "")
    found = as_applied(mailed, ("c1", "c2"), "base", "c2", "")
    assert [(p.parent, p.commit) for p in found.patches] == [("base", "c1"), ("c1", "c2")]
    assert (found.base, found.head) == ("base", "c2")
    with pytest.raises(Refused, match="2 patches became 1 commits"):
        as_applied(mailed, ("c1",), "base", "c1", "")


def test_a_pull_request_is_one_patch_with_all_that_it_brings() -> None:
    mailed = as_mailed(ABOUT, mails_of(letter(1, diff=False), ("1@x",)), b"", "https://git.example.org/x.git tag")
    assert (len(mailed.patches), mailed.cover_pull) == (1, False)
    found = as_applied(mailed, ("c1", "c2", "c3"), "base", "c3", mailed.pull)
    assert [(p.parent, p.commit) for p in found.patches] == [("base", "c3")]
    assert found.pull == "https://git.example.org/x.git tag"


def test_patches_under_a_pull_request_are_patches_as_long_as_they_are_what_was_pulled() -> None:
    pull = "https://git.example.org/x.git tag"
    mailed = as_mailed(ABOUT, mails_of(BOTH, ("1@x", "2@x")), COVER, pull)
    assert (len(mailed.patches), mailed.pull, mailed.cover_pull) == (2, "", True)
    assert len(as_applied(mailed, ("c1", "c2"), "base", "c2", pull).patches) == 2
    assert as_applied(mailed, ("c1", "m", "c2"), "base", "c2", pull).pull == pull


class Builds(OurCheck):
    name, help, needs, pulls = "build", "builds", Needs.BUILD, True


class Mails(Builds):
    name, pulls = "mails", False


def test_where_other_commits_were_pulled_than_mailed_the_first_patchs_answer_stands_for_all() -> None:
    pull = "https://git.example.org/x.git tag"
    mailed = as_mailed(ABOUT, mails_of(BOTH, ("1@x", "2@x")), COVER, pull)
    made = plan([Builds(), Mails()], as_applied(mailed, ("c1", "m", "c2"), "base", "c2", pull))
    assert made.tasks == (Task("build", 1),)
    assert dict(made.unasked) == {
        Task("build", 2): AS_ONE, Task("mails", 1): NO_PULLS, Task("mails", 2): AS_ONE,
    }  # fmt: skip
    asked = {task.patch: ("unasked", why) for task, why in made.unasked if task.check == "build"}
    gate = Gate({1: ("success", "")}, {1: ("answered", ""), **asked})
    assert against("build", gate, (1, 2)) == ""
    assert "does not build" in against("build", Gate({1: ("fail", "does not build")}, asked), (1, 2))
