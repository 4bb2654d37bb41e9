"""What Patchwork's answers mean, without a Patchwork."""

import json
from dataclasses import replace

import pytest

from services.report.channels.base import Address, Parcel
from services.report.channels.patchwork import wire
from services.report.verdicts import Verdict
from shared.http import Answer
from shared.model.results import CheckState

PARCEL = Parcel(
    "netdev", "net-next", 7, 70, 700, "contest", "success", "b (tests: 3)", "https://ci.example.org/series/7", key=1
)
CHECK = {
    "id": 5, "state": "success", "context": "contest", "target_url": PARCEL.url, "description": PARCEL.text,
    "user": {"id": 9, "username": "netci"},
}  # fmt: skip


def an_answer(status: int, body: object = None, kind: str = "application/json", **headers: str) -> Answer:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Answer(status, {"content-type": kind, **headers}, data)


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (an_answer(201, CHECK), "posted"),
        (an_answer(201, b"{", kind="application/json"), "doubt"),
        (an_answer(201, b"<html>", kind="text/html"), "doubt"),
        (an_answer(200, b"<html>", kind="text/html; charset=utf-8"), "doubt"),
        (an_answer(301, b"", kind="text/html", location="https://x/"), "again"),
        (an_answer(400, {"context": ["no"]}), "refused"),
        (an_answer(403, {"detail": "Invalid token."}), "refused"),
        (an_answer(404, {"detail": "No Patch matches the given query."}), "refused"),
        (an_answer(429, {}), "again"),
        (an_answer(500, b"oops", kind="text/html"), "doubt"),
        (an_answer(502, b"", kind="text/html"), "doubt"),
        (an_answer(503, b"", kind="text/html"), "doubt"),
        (an_answer(504, b"", kind="text/html"), "doubt"),
    ],
)
def test_what_becomes_of_a_post(answer: Answer, outcome: str) -> None:
    assert wire.read_post(answer).outcome == outcome


def test_a_made_check_tells_its_number_and_whose_it_is() -> None:
    receipt = wire.read_post(an_answer(201, CHECK))
    assert (receipt.number, receipt.account) == (5, 9)


def test_a_refusal_keeps_patchworks_words() -> None:
    assert "Invalid token." in wire.read_post(an_answer(403, {"detail": "Invalid token."})).text


@pytest.mark.parametrize(("value", "wait"), [("7", 7.0), ("99999", 300.0), ("Wed, 21 Oct", None), ("-1", None)])
def test_how_long_to_wait(value: str, wait: float | None) -> None:
    assert wire.read_post(an_answer(503, b"", "text/html", **{"retry-after": value})).wait == wait


@pytest.mark.parametrize(
    ("change", "there"),
    [({}, True), ({"state": "pending"}, False), ({"description": "other"}, False), ({"target_url": None}, False)],
)
def test_a_check_is_known_again_by_all_that_it_says(change: dict[str, object], there: bool) -> None:
    receipt = wire.read_lookup(an_answer(200, [CHECK | change]), PARCEL)
    assert (receipt is not None and receipt.outcome == "posted") is there


def test_a_check_that_was_known_before_is_not_the_one_in_doubt() -> None:
    assert wire.read_lookup(an_answer(200, [CHECK]), replace(PARCEL, last=5)) is None
    assert wire.read_lookup(an_answer(200, [CHECK]), replace(PARCEL, last=4)) is not None


@pytest.mark.parametrize(
    "answer", [an_answer(502, b"", "text/html"), an_answer(200, b"<html>", "text/html"), an_answer(200, {"no": "list"})]
)
def test_an_answer_that_tells_nothing_leaves_the_doubt(answer: Answer) -> None:
    receipt = wire.read_lookup(answer, PARCEL)
    assert receipt is not None
    assert receipt.outcome == "doubt"


def test_the_question_is_about_our_own_newest_once_we_know_who_we_are() -> None:
    assert wire.newest_of_ours(replace(PARCEL, account=9)) == {
        "context": "contest", "order": "-id", "user": "9", "per_page": "1",
    }  # fmt: skip
    assert "user" not in wire.newest_of_ours(PARCEL)


def test_what_others_say_is_the_newest_of_each() -> None:
    older = CHECK | {"state": "pending", "description": "b (tests: 2)"}
    other = CHECK | {"user": {"id": 1, "username": "nipa"}, "state": "warning"}
    receipt = wire.read_others(an_answer(200, [CHECK, other, older]), PARCEL)
    assert receipt.found == "netci: success b (tests: 3); nipa: warning b (tests: 3)"


def test_nobody_speaks_for_another() -> None:
    sly = CHECK | {"description": "x; nipa: success y"}
    receipt = wire.read_others(an_answer(200, [sly]), PARCEL)
    assert receipt.found == "netci: success x, nipa: success y"


def test_one_parcel_a_patch_and_no_user_in_the_form() -> None:
    verdict = Verdict(7, 1, "netdev", "contest", CheckState.PENDING, False, "b\n(tests: 3)")
    addresses = [Address(7, n, n + 100, "1@x.org") for n in (1, 2)]
    parcels = wire.compose(verdict, "net-next", addresses, "https://ci.example.org")
    assert [p.external_patch for p in parcels] == [101, 102]
    assert wire.checks_path(parcels[0]) == "/api/1.2/patches/101/checks/"
    assert wire.form(parcels[0]) == {
        "state": "pending", "target_url": "https://ci.example.org/series/1@x.org", "context": "contest",
        "description": "b (tests: 3)",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("context", "patch", "stream", "url"),
    [
        ("kdoc", 2, "", "https://ci.example.org/series/m%2Fx@example.org/checks/kdoc/2"),
        ("series_format", 0, "", "https://ci.example.org/series/m%2Fx@example.org/checks/series_format"),
        ("apply", 0, "", "https://ci.example.org/series/m%2Fx@example.org"),
        ("contest", 0, "net-next", "https://ci.example.org/series/m%2Fx@example.org"),
    ],
)
def test_a_check_leads_to_its_own_page(context: str, patch: int, stream: str, url: str) -> None:
    verdict = Verdict(7, 1, "netdev", context, CheckState.FAIL, True, "no", patch=patch)
    (parcel,) = wire.compose(verdict, stream, [Address(7, 70, 700, "m/x@example.org")], "https://ci.example.org")
    assert parcel.url == url
