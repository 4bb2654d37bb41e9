"""Charsets, encoded words and transfer encodings, right ones and wrong ones."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.formats.encoded import decode_header, decoded, from_base64, untransferred


@pytest.mark.parametrize(
    ("raw", "charset", "text"),
    [
        (b"caf\xc3\xa9", "utf-8", "café"),
        (b"caf\xe9", "iso-8859-1", "café"),
        (b"caf\xe9", "us-ascii", "café"),
        (b"caf\xc3\xa9", "no such thing", "café"),
        (b"caf\xc3\xa9", "utf\0-8", "café"),
        (b"abc", "hex", "abc"),
        (b"abc", "idna", "abc"),
        (b"\xd0\xd2\xc9", "koi8-r", "при"),
        (b"a\0b", "", "a\ufffdb"),
    ],
)
def test_text_in_a_charset_that_may_lie(raw: bytes, charset: str, text: str) -> None:
    assert decoded(raw, charset) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("plain", "plain"),
        ("=?utf-8?q?a_b?= c =?utf-8?q?d?= =?utf-8?q?e?=", "a b c de"),
        ("=?utf-8?b?ww==?= =?utf-8?b?qQ==?=", "é"),
        ("=?utf-8*en?q?x?=", "x"),
        ("folded\r\n\tvalue", "folded value"),
        ("=?utf-8?x?no?=", "=?utf-8?x?no?="),
    ],
)
def test_header(value: str, text: str) -> None:
    assert decode_header(value) == text


@given(st.binary())
def test_base64_there_and_back(raw: bytes) -> None:
    assert from_base64(base64.encodebytes(raw)) == raw
    assert untransferred(base64.b64encode(raw).rstrip(b"="), "Base64 ") == raw


@given(st.text(), st.binary(), st.text(max_size=12))
def test_anything_is_decoded(value: str, raw: bytes, name: str) -> None:
    decode_header(value).encode("utf-8", "surrogatepass")
    decoded(raw, name).encode()
    assert isinstance(untransferred(raw, name), bytes)
