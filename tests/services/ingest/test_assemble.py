"""Series put together from mails."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.assemble import Assembled, assemble, likeness, pull_question, read_mails
from services.ingest.sources.base import Parcel, Piece
from shared.errors import Refused
from shared.formats.mbox import parse_mail
from shared.model.mails import Person
from tests.services.ingest.build import a_diff, a_mail, a_series


def a_parcel(mails: list[bytes], **given: object) -> Parcel:
    values: dict[str, object] = {
        "external_id": 7, "total": len(mails), "received": len(mails), "version": 1, "name": "x",
        "author": Person("Ann", "ann@example.org"), "web_url": "", "mailed": None, "mbox": b"",
        "pieces": tuple(Piece(n, parse_mail(mail).message_id) for n, mail in enumerate(mails, 1)),
    }  # fmt: skip
    return Parcel(**(values | given))  # type: ignore[arg-type]


def put_together(mails: list[bytes], cover: bytes | None = None, **given: object) -> Assembled:
    head = parse_mail(cover) if cover else None
    return assemble(a_parcel(mails, **given), [parse_mail(mail) for mail in mails], head)


def test_patches_come_by_their_numbers() -> None:
    first, second, third = a_series()
    series = put_together([third, first, second])
    assert [patch.external_id for patch in series.patches] == [2, 3, 1]
    assert [patch.number for patch in series.patches] == [1, 2, 3]
    assert (series.fault, series.tags, series.version) == ("", ("net-next",), 1)


def test_the_cover_names_the_series() -> None:
    cover, *mails = a_series("tcp: the whole", cover=True, version=3)
    series = put_together(mails, cover)
    assert (series.title, series.version, series.message_id) == ("tcp: the whole", 3, "tcp-the-whole-v3-0@example.org")
    assert series.cover_message_id == series.message_id


def test_trailers_and_files() -> None:
    diff = a_diff("net/a.c") + a_diff("net/b.c")
    [mail] = a_series(patches=1, diffs=[diff], trailers='Fixes: 0123456789ab ("tcp: y")\n')
    [patch] = put_together([mail]).patches
    assert (patch.files, patch.fixes, patch.fault) == (("net/a.c", "net/b.c"), ("0123456789ab",), "")


def mixed(*subjects: str) -> str:
    return put_together([a_mail(subject, f"{n}@x") for n, subject in enumerate(subjects)]).fault


@pytest.mark.parametrize(
    ("subjects", "fault"),
    [
        (("[PATCH 1/2] a", "[PATCH 2/2] b"), ""),
        (("[PATCH] a",), ""),
        (("[PATCH 1/1] a",), ""),
        (("[PATCH 1/2] a", "[PATCH 2/2] b", "[PATCH 3/2] c"), ""),
        (("[PATCH 1/2] a", "[PATCH v2 2/2] b"), "patches of different versions in one series: v1 and v2"),
        (("[PATCH 1/2] a", "[PATCH 2/3] b"), "patches of different sizes in one series: 1/2 and 2/3"),
        (("[PATCH 1/2] a", "[PATCH 1/2] b"), "patch 1 is there 2 times"),
        (("[PATCH 2/3] a", "[PATCH 3/3] b", "[PATCH 4/3] c"), "patch 1 is missing, in its place is 4/3"),
    ],
)
def test_every_patch_must_be_of_the_series(subjects: tuple[str, ...], fault: str) -> None:
    assert mixed(*subjects) == fault


def test_a_mail_that_is_listed_and_not_there() -> None:
    mails = a_series()
    series = assemble(a_parcel(mails), [parse_mail(mail) for mail in mails[:2]], None)
    assert series.fault == "3 patches are listed and 2 are in the mbox"


def test_where_to_ask_for_a_pull_request() -> None:
    pull = a_mail("[GIT PULL] x", "p@x", diff="").replace(b"Subject:", b"X-Patchwork-Id: 5\nSubject:")
    found = pull_question(a_parcel([pull]), [parse_mail(pull)])
    assert found is not None
    assert found.patch == 5
    ordinary = a_series()
    assert pull_question(a_parcel(ordinary), [parse_mail(mail) for mail in ordinary]) is None
    under = [a_mail(f"[PATCH {n}/2] x", f"{n}@x", reply="pull@x") for n in (1, 2)]
    asked = pull_question(a_parcel(under), [parse_mail(mail) for mail in under])
    assert asked is not None
    assert asked.message_id == "pull@x"


def test_likeness_is_of_words() -> None:
    assert likeness("tcp:  Make it *faster*.") == likeness("TCP: make it faster")
    assert likeness("tcp: a") != likeness("udp: a")
    assert likeness("größer: ß") == likeness("GRÖSSER: SS")


@given(st.binary(max_size=2000))
def test_any_bytes_are_a_series_or_refused(raw: bytes) -> None:
    try:
        mails = read_mails(raw)
    except Refused:
        return
    assemble(a_parcel([]), mails, None)


def test_too_many_mails_are_refused() -> None:
    one = b"From x Mon Nov 23 09:00:00 2026\nSubject: x\n\nx\n\n"
    with pytest.raises(Refused, match="600 mails"):
        read_mails(one * 600)
