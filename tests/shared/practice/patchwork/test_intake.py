"""What mails become: order of arrival, lost and doubled mails, versions in one thread, names, headers that steer."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from shared.errors import Refused
from shared.practice.patchwork import Patchwork, standard
from shared.practice.patchwork.records import Comment, Cover, Patch
from tests.shared.practice.patchwork.writing import a_cover, a_mail, a_part, a_series


def fed(*mails: bytes) -> Patchwork:
    pw = standard()
    for mail in mails:
        pw.submit(mail)
    return pw


def told(pw: Patchwork) -> list[str]:
    return [event.category for event in pw.visible_events()]


def test_a_single_patch_is_a_series_of_one() -> None:
    pw = fed(a_mail())
    assert told(pw) == ["patch-created", "series-created", "patch-completed", "series-completed"]
    assert pw.series[1].name == pw.patches[1].name == "[net] x: fix it"
    assert pw.patches[1].prefixes == ["net"]


def test_a_cover_letter_that_comes_last_names_the_series_after_it_was_complete() -> None:
    """As recorded in cover-last.json."""
    cover, *parts = a_series(3)
    pw = fed(*parts, cover)
    assert told(pw)[-2:] == ["series-completed", "cover-created"]
    assert (pw.series[1].name, pw.series[1].cover) == ("things", 1)


def test_patches_behind_a_late_one_are_completed_with_it() -> None:
    pw = fed(a_part(3, 3), a_part(1, 3), a_part(2, 3))
    assert told(pw)[-4:] == ["patch-created", "patch-completed", "patch-completed", "series-completed"]
    assert [p.number for p in pw.received(pw.series[1])] == [3, 1, 2]


def test_a_patch_beyond_the_total_completes_the_series_again() -> None:
    pw = fed(*a_series(2), a_part(3, 2))
    assert told(pw).count("series-completed") == 2


def test_the_same_mail_again_is_nothing() -> None:
    pw = fed(*a_series(2))
    before = told(pw)
    assert [pw.submit(mail) for mail in a_series(2)] == [None, None, None]
    assert told(pw) == before


def test_a_new_version_flat_in_the_old_thread_fills_the_hole_of_the_old_one() -> None:
    """The trap: v2 2/2 makes v1 complete, and v2 never is."""
    old = a_mail("[PATCH net 1/2] x: one", "v1-1@x")
    new = [a_mail(f"[PATCH net v2 {n}/2] x: {n}", f"v2-{n}@x", reply_to="v1-1@x") for n in (1, 2)]
    pw = fed(old, *new)
    assert [p.name for p in pw.received(pw.series[1])] == ["[net,1/2] x: one", "[net,v2,2/2] x: 2"]
    assert len(pw.series[2].patches) == 1


def test_unthreaded_patches_are_joined_by_sender_version_total_and_date() -> None:
    far = "Mon, 23 Nov 2026 11:00:00 +0000"
    pw = fed(
        a_mail("[PATCH net 1/2] x: one", "1@x"),
        a_mail("[PATCH net 2/2] x: two", "2@x"),
        a_mail("[PATCH net 1/2] x: one", "3@x", date=far),
        a_mail("[PATCH net 2/2] x: two", "4@x", sender="B <b@example.org>"),
    )
    assert [s.patches for s in pw.series.values()] == [[1, 2], [3], [4]]


def test_replies_become_comments_of_the_patch_or_the_cover() -> None:
    pw = fed(*a_series(1))
    on_patch = pw.submit(a_mail("Re: [PATCH] x", "r1@x", reply_to="1@example.org", text="Fine.\n", diff=""))
    on_cover = pw.submit(a_mail("Re: [PATCH] x", "r2@x", reply_to="cover@example.org", text="Fine.\n", diff=""))
    nested = pw.submit(a_mail("Re: [PATCH] x", "r3@x", reply_to="r1@x", text="Thanks.\n", diff=""))
    lost = pw.submit(a_mail("Re: [PATCH] x", "r4@x", reply_to="nobody@x", text="What?\n", diff=""))
    assert isinstance(on_patch, Comment)
    assert on_patch.patch == 1
    assert isinstance(on_cover, Comment)
    assert on_cover.cover == 1
    assert isinstance(nested, Comment)
    assert nested.patch == 1
    assert lost is None


def test_headers_of_the_sender_steer() -> None:
    pw = fed(a_mail(more="X-Patchwork-State: RFC\nX-Patchwork-Delegate: maintainer@example.org\n"))
    assert (pw.patches[1].state, pw.patches[1].delegate) == ("rfc", pw.user("maintainer").id)
    assert pw.submit(a_mail(msgid="2@x", more="X-Patchwork-Hint: ignore\n")) is None


def test_a_mail_of_another_list_is_nothing_unless_the_list_is_told() -> None:
    pw = standard("netdevbpf", "linux-wireless")
    stray = a_mail().replace(b"List-Id: <netdev.vger.kernel.org>\n", b"")
    assert pw.submit(stray) is None
    made = pw.submit(stray, list_id="linux-wireless.vger.kernel.org")
    assert isinstance(made, Patch)
    assert pw.projects[made.project].link_name == "linux-wireless"


def test_one_mail_on_two_lists_is_two_patches() -> None:
    pw = standard("netdevbpf", "linux-wireless")
    one = pw.submit(a_mail())
    other = pw.submit(a_mail(), list_id="linux-wireless.vger.kernel.org")
    assert isinstance(one, Patch)
    assert isinstance(other, Patch)
    assert (one.msgid, one.project) == (other.msgid, other.project - 1)


@pytest.mark.parametrize("name", [b"From", b"Subject", b"Message-Id"])
def test_a_mail_without_its_headers_is_refused(name: bytes) -> None:
    with pytest.raises(Refused, match=name.decode()):
        standard().submit(b"\n".join(line for line in a_mail().split(b"\n") if not line.startswith(name + b":")))


def test_bytes_that_the_charset_does_not_allow_drop_the_whole_mail() -> None:
    bad = a_mail(more="Content-Type: text/plain; charset=utf-8\n").replace(b"It was", b"It w\xe4s")
    assert standard().submit(bad) is None


def test_depends_on_is_read_once() -> None:
    """As recorded in depends-on-too-early.json."""
    needs = a_mail("[PATCH net] y: more", "2@x", text="More.\n\nDepends-on: <1@example.org>\n")
    assert fed(a_mail(), needs).series[2].dependencies == [1]
    assert fed(needs, a_mail()).series[1].dependencies == []


def test_events_are_in_local_time_and_patches_in_utc() -> None:
    """As recorded in timezone-canberra.json."""
    now = datetime(2026, 11, 23, 8, 32, 30)  # noqa: DTZ001 - Patchwork keeps time without zone
    pw = Patchwork(lambda: now, offset=timedelta(hours=11))
    pw.add_project("netdevbpf", list_id="netdev.vger.kernel.org")
    pw.submit(a_mail())
    pw.submit(a_mail(msgid="2@x", date="yesterday, about noon"))
    assert pw.events[0].date.hour == 19
    assert pw.patches[1].date.hour == 9
    assert pw.patches[2].date.hour == 19


def test_no_two_events_have_one_date() -> None:
    now = datetime(2026, 11, 23)  # noqa: DTZ001 - Patchwork keeps time without zone
    pw = Patchwork(lambda: now)
    pw.add_project("netdevbpf", list_id="netdev.vger.kernel.org")
    for mail in a_series(3):
        pw.submit(mail)
    dates = [event.date for event in pw.events]
    assert dates == sorted(set(dates))


def test_a_cover_of_a_known_name_in_reply_is_no_cover() -> None:
    pw = fed(a_cover(1), a_part(1, 1))
    again = pw.submit(a_cover(1, "again@x", reply_to="1@example.org"))
    newer = pw.submit(a_cover(1, "newer@x", version=" v2", reply_to="1@example.org"))
    assert isinstance(again, Comment)
    assert isinstance(newer, Cover)
    assert pw.series[newer.series or 0].version == 2
