"""Strict JSON: what is refused, where it is, and that it costs little to refuse."""

import json
from itertools import accumulate
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.formats.bounded import UNPACKED, read_json, scan
from shared.formats.faults import FAULTS_KEPT, Fault, Faulty
from tests.shared.formats.lab import grown, told

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-(10**18) + 1, 10**18 - 1), TEXT, FLOATS)
VALUES = st.recursive(SCALARS, lambda below: st.one_of(st.lists(below), st.dictionaries(TEXT, below)), max_leaves=20)
NOISE = st.lists(
    st.sampled_from(["[", "]", "{", "}", '"', "\\", ",", ":", "1", "a", "é", "\\u0000", "\\ud800", " ", "1e999"])
).map("".join)


def faults(data: bytes, **limits: int) -> tuple[Fault, ...]:
    with pytest.raises(Faulty) as caught:
        read_json(data, **limits)
    return caught.value.faults


def only_fault(data: bytes, **limits: int) -> tuple[str, str]:
    (fault,) = faults(data, **limits)
    return fault.pointer, fault.detail


@given(VALUES, st.booleans())
def test_what_is_dumped_is_read(value: Any, ascii_only: bool) -> None:
    assert read_json(json.dumps(value, ensure_ascii=ascii_only).encode(), depth=100) == value


@given(st.one_of(st.binary(), NOISE.map(str.encode)))
def test_any_bytes_are_read_or_faulty(data: bytes) -> None:
    found = told(lambda: read_json(data))
    assert len(found) <= FAULTS_KEPT
    assert found or read_json(data) == json.loads(data)


@given(VALUES, st.integers(0, 6))
def test_depth_is_the_number_of_open_brackets(value: Any, limit: int) -> None:
    def deep(one: Any) -> int:
        below = one.values() if isinstance(one, dict) else one if isinstance(one, list) else None
        return 0 if below is None else 1 + max(map(deep, below), default=0)

    data = json.dumps(value).encode()
    if deep(value) <= limit:
        assert read_json(data, depth=limit) == value
    else:
        assert only_fault(data, depth=limit) == ("", f"nested deeper than {limit}")


@given(st.lists(st.sampled_from(b"[]"), max_size=60).map(bytes), st.integers(0, 20))
def test_depth_is_right_in_what_is_no_json_too(data: bytes, limit: int) -> None:
    deepest = max(accumulate(1 if byte == ord("[") else -1 for byte in data), default=0)
    if deepest <= limit:
        scan(data, depth=limit)
    else:
        assert only_fault(data, depth=limit) == ("", f"nested deeper than {limit}")


@pytest.mark.parametrize(
    ("data", "pointer", "words"),
    [
        (b'"ab\xff"', "", "not UTF-8 at byte 3: invalid start byte"),
        (b'"ab\xe2\x82', "", "not UTF-8 at byte 3: unexpected end of data"),
        (b'{"a/b": [1, {"c~": 1e999}]}', "/a~1b/1/c~0", "a number too large to keep"),
        (b'[0, 1000000000000000000]', "/1", "an integer of over 18 digits"),
        (b'{"a": {"b": 1, "c": 2, "b": 3}}', "/a/b", "the key stands twice in one object"),
        (b'{"a": "x\\u0000"}', "/a", "holds a NUL character"),
        (b'[{"a\\u0000": 1}]', "/0", "a key holds a NUL character"),
    ],
)  # fmt: skip
def test_the_fault_is_pointed_at(data: bytes, pointer: str, words: str) -> None:
    assert only_fault(data) == (pointer, words)


@pytest.mark.parametrize(
    "data",
    [b"", b"NaN", b"[Infinity]", b"-Infinity", b"1 2", b"[1,]", b"{'a': 1}", b'"\\ud800"', b'"\\udc00\\ud800"', b'"\0"',
     b"\xef\xbb\xbf1", b"9" * 5000, b"01", b"[", b'"', b"\\"],
)  # fmt: skip
def test_what_is_no_json_is_refused(data: bytes) -> None:
    pointer, words = only_fault(data)
    assert (pointer, words[:8]) == ("", "not JSON")


def test_an_escaped_backslash_before_u0000_is_no_nul() -> None:
    assert read_json(b'"\\\\u0000"') == "\\u0000"


def test_byte_offsets_are_right_across_pieces() -> None:
    data = b'"' + "é".encode() * (1 << 19) + b"x" * 5 + b'", \xff'
    assert faults(data)[0].detail == f"not UTF-8 at byte {len(data) - 1}: invalid start byte"


def test_a_string_and_an_escape_may_cross_the_pieces() -> None:
    piece = 1 << 20
    for shift in range(4):
        value = ["x" * (piece - 4 + shift) + '\\"[[[', ["]"]]
        assert read_json(json.dumps(value).encode(), depth=2) == value


def test_no_more_than_fifty_are_told() -> None:
    assert len(faults(json.dumps([10**19] * 1000).encode())) == FAULTS_KEPT


@pytest.mark.parametrize(
    ("start", "piece", "end", "words"),
    [
        (b"", b"[", b"", "nested deeper"),
        (b"[", b"[],", b"1]", "objects and lists"),
        (b"[", b"0,", b"0]", "values"),
        (b"[", b'"",', b"0]", "values"),
        (b"[", b'"[",', b"0]", "values"),
        (b'["', b'\\"', b'"]', "a string of over"),
        (b'["', "\U0001f600".encode(), b'"]', "a string of over"),
        (b"", b"\\", b"", "not JSON"),
        (b"", b'"', b"", "not JSON"),
        (b"", b"1", b"", "not JSON"),
    ],
    ids=["deep", "lists", "numbers", "empty", "brackets", "escapes", "wide", "backslashes", "quotes", "digits"],
)
def test_the_largest_bodies_cost_little_to_refuse(start: bytes, piece: bytes, end: bytes, words: str) -> None:
    room = UNPACKED - len(start) - len(end)
    data = start + piece * (room // len(piece)) + end
    assert grown(lambda: faults(data)) < 200 << 20
    assert words in only_fault(data)[1]


def test_growth_would_be_seen() -> None:
    # A kernel that reclaims what is cold takes pages away meanwhile: seen once in three will do.
    assert any(grown(lambda: b"x" * (100 << 20)) > 90 << 20 for _ in range(3))
