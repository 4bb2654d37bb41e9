"""Trailers, and the commits named by Fixes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.formats.trailers import fixes, message_of, trailers
from shared.model.mails import Trailer

FIX = 'Fixes: 1da177e4c3f4 ("Linux-2.6.12-rc2")'


def keys(body: str) -> list[str]:
    return [trailer.key for trailer in trailers(body)]


def test_last_paragraph_of_the_message() -> None:
    body = "Why: because.\n\nMore text\n\nAcked-by: A <a@x>\nSigned-off-by: B <b@x>\n---\n v2: Changed: it\n\nX-y: z\n"
    assert trailers(body) == (Trailer("Acked-by", "A <a@x>"), Trailer("Signed-off-by", "B <b@x>"))


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        ("text\n", []),
        ("text: is not a trailer when others follow\nas here\n", []),
        ("a\n\nSigned-off-by: A <a@x>\n[b: fixed typo]\nSigned-off-by: B <b@x>\n", ["Signed-off-by"] * 2),
        ("a\n\nLink: https://x\nhttps://lore.kernel.org/x: y\nSigned-off-by: A <a@x>", ["Link", "Signed-off-by"]),
        (f"a\n\n{FIX}\n\nSigned-off-by: A <a@x>\n", ["Fixes", "Signed-off-by"]),
        (f"a\n\n{FIX}\n", ["Fixes"]),
        (f"a\n{FIX}\nmore text that is no trailer at all\nand more\nand more\nand more\n", ["Fixes"]),
        ("a\n\nFixes: a bug of mine\n\nSigned-off-by: A <a@x>\n", ["Signed-off-by"]),
        ("Signed-off-by: A <a@x>\r\n---\r\nText: x\r\n", ["Signed-off-by"]),
        ("Signed-off-by: A <a@x>\ndiff --git a/x b/x\n", ["Signed-off-by"]),
    ],
)
def test_what_is_a_trailer(body: str, wanted: list[str]) -> None:
    assert keys(body) == wanted


def test_folded_value_is_one_line() -> None:
    assert trailers("Cc: A <a@x>,\n  B <b@x>\nReviewed-by: C <c@x>\n")[0].value == "A <a@x>, B <b@x>"


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ('1da177e4c3f4 ("Linux-2.6.12-rc2")', ("1da177e4c3f4", "Linux-2.6.12-rc2")),
        ('commit 1DA177E4C3F4 ("a (b) c")', ("1da177e4c3f4", "a (b) c")),
        ("1da177e4c3f41524e886b7f1b8a0c1fc7321cac2", ("1da177e4c3f41524e886b7f1b8a0c1fc7321cac2", "")),
        ("1da177e4c3f4: title without frame", ("1da177e4c3f4", "title without frame")),
    ],
)
def test_fixes_names_a_commit(value: str, wanted: tuple[str, str]) -> None:
    assert fixes([Trailer("fixes", value)]) == (wanted,)


@pytest.mark.parametrize(
    "value", ["a bug", "https://bugzilla.kernel.org/1", "1da17", "the 1da177e4c3f4 mess", "g" * 12]
)
def test_fixes_without_a_commit_names_none(value: str) -> None:
    assert fixes([Trailer("Fixes", value), Trailer("Cc", "1da177e4c3f4")]) == ()


def test_fixes_folded_by_a_mailer_keeps_its_title() -> None:
    found = trailers('a\n\nFixes: 1da177e4c3f4 ("a very long\n title")\nSigned-off-by: A <a@x>\n')
    assert fixes(found) == (("1da177e4c3f4", "a very long title"),)


@given(st.text(max_size=400) | st.text("aF:-#[] \n\tixes1(", max_size=120))
def test_anything_has_trailers_or_none(body: str) -> None:
    found = trailers(body)
    fixes(found)
    assert all(trailer.key and "\n" not in trailer.value for trailer in found)
    assert len(message_of(body)) <= len(body)
