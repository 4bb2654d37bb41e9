"""A token's form, checksum and scopes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.model.tokens import FORM, Right, Scope, Token, checksum, digest_of, id_of, mint, parse_scopes, writes


def test_a_minted_token_names_itself_and_is_found_by_scanners() -> None:
    minted = mint()
    assert FORM.fullmatch(minted.text)
    assert id_of(minted.text) == minted.id
    assert minted.digest == digest_of(minted.text)


@given(st.integers(0, 62), st.sampled_from("0aZ_"))
def test_one_wrong_letter_is_seen_without_a_database(place: int, letter: str) -> None:
    text = mint().text
    place %= len(text)
    if text[place] != letter:
        assert id_of(text[:place] + letter + text[place + 1 :]) is None


def test_no_two_are_alike() -> None:
    assert len({mint().text for _ in range(500)}) == 500


def test_the_checksum_is_fixed() -> None:
    assert checksum("netci_abcdefgh_" + "x" * 40) == "2ZB04M"


@pytest.mark.parametrize("text", ["results:write:vmksft-*", "checks:write:vendor_build", "events:read", "admin"])
def test_scopes_read_and_print_alike(text: str) -> None:
    assert str(Scope.parse(text)) == text


@pytest.mark.parametrize(
    "text", ["", "results:write", "results:write:", "results:write:a b", "admin:x", "read", "events:read:x"]
)
def test_what_is_no_scope_is_told_with_those_there_are(text: str) -> None:
    with pytest.raises(ValueError, match=r"scope|glob"):
        Scope.parse(text)


def test_a_right_holds_for_the_names_it_was_given_for() -> None:
    token = Token("abcdefgh", "lab", "metal", parse_scopes(["results:write:vm-*", "events:read"]), ("netdev",))
    assert token.may(Right.RESULTS, "vm-net")
    assert not token.may(Right.RESULTS, "hw-net")
    assert not token.may(Right.CHECKS, "vm-net")
    assert token.reads("netdev")
    assert not token.reads("bpf")
    assert writes(token.scopes)
    assert not writes(parse_scopes(["events:read", "hooks:manage"]))
