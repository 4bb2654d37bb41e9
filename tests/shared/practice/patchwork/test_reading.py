"""Reading of mails and diffs: subjects, markers, versions, hashes; and that no bytes break it."""

from __future__ import annotations

import json
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import Refused
from shared.practice.patchwork import diff, letter, standard
from shared.practice.patchwork.letter import Title
from tests.shared.practice.patchwork.recording import GOLDEN
from tests.shared.practice.patchwork.writing import DIFF, a_mail


@pytest.mark.parametrize(
    ("subject", "title"),
    [
        ("[PATCH net-next v2 1/3] x: y", Title("[net-next,v2,1/3] x: y", ("net-next", "v2", "1/3"), 1, 3, 2)),
        ("[PATCH] x", Title("x", (), None, None, 1)),
        ("[netdevbpf] [PATCH, RFC] x", Title("[RFC] x", ("RFC",), None, None, 1)),
        ("Re: [PATCH net 0/2] x", Title("[net,0/2] x", ("net", "0/2"), 0, 2, 1)),
        ("[PATCH10/12] x (v3)", Title("[PATCH10/12] x (v3)", ("PATCH10/12",), 10, 12, 3)),
        ("[GIT PULL] a  b", Title("[GIT,PULL] a b", ("GIT", "PULL"), None, None, 1)),
    ],
)
def test_titles(subject: str, title: Title) -> None:
    assert letter.read(a_mail(subject)).title("netdevbpf") == title


def test_references_are_nearest_first_and_once() -> None:
    raw = a_mail(more="In-Reply-To: <c@x>\nReferences: <a@x> <b@x>\n <c@x>\n")
    assert letter.read(raw).references == ("<c@x>", "<b@x>", "<a@x>")


def test_dates_are_utc_without_zone() -> None:
    read = letter.read(a_mail(date="Sun, 21 Jun 2026 02:00:00 +0900"))
    assert read.date == datetime(2026, 6, 20, 17)  # noqa: DTZ001 - Patchwork keeps time without zone


def test_a_signature_is_no_content() -> None:
    read = letter.read(a_mail(diff=DIFF + "-- \n2.43.0\n"))
    assert read.diff == DIFF
    assert read.content.endswith("x | 2 +-")


def test_a_patch_as_an_attachment() -> None:
    parts = f"--b\nContent-Type: text/plain\n\nSee there.\n--b\nContent-Type: text/x-patch\n\n{DIFF}\n--b--\n"
    read = letter.read(
        a_mail(more="MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n", text=parts, diff="")
    )
    assert (read.content, read.diff) == ("See there.", DIFF)


def test_a_diff_quoted_in_a_reply_is_text() -> None:
    assert letter.read(a_mail("Re: [PATCH] x")).diff is None


def test_the_hash_knows_a_diff_again_wherever_it_applies() -> None:
    moved = DIFF.replace("@@ -1 +1 @@", "@@ -7,1 +9,1 @@ int main(void)").replace("a/x", "old/x")
    assert diff.fingerprint(moved) == diff.fingerprint(DIFF)
    assert diff.fingerprint(DIFF.replace("+b", "+c")) != diff.fingerprint(DIFF)


def test_the_recorded_hash() -> None:
    document = json.loads((GOLDEN / "recorded" / "073-patch-detail.json").read_text())
    patch = document["response"]["body"]
    assert diff.fingerprint(patch["diff"]) == patch["hash"]


@given(st.text())
def test_nothing_of_a_text_is_lost_between_diff_and_message(text: str) -> None:
    found, rest = diff.split(text)
    assert len(found or "") + len(rest) == len(text) + 1


@given(st.lists(st.sampled_from([*DIFF.splitlines(), "-- ", "index 1..2", "", "rename to y", "@@ -1,9 +1,9 @@"])))
def test_nothing_of_a_broken_diff_is_lost(lines: list[str]) -> None:
    text = "\n".join(lines)
    found, rest = diff.split(text)
    assert sorted((found or "") + rest) == sorted(text + "\n")


@given(st.binary())
def test_any_bytes_are_a_mail_or_refused(raw: bytes) -> None:
    try:
        standard().submit(raw)
    except Refused:
        return


@given(st.binary(max_size=60), st.binary(max_size=60))
def test_any_subject_and_body_are_taken_or_refused(subject: bytes, body: bytes) -> None:
    raw = b"From: a@x\nMessage-Id: <1@x>\nList-Id: <netdev.vger.kernel.org>\nSubject: " + subject + b"\n\n" + body
    try:
        standard().submit(raw + DIFF.encode())
    except Refused:
        return
