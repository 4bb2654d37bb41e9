"""Bytes of mails turned into text: charsets that lie, encoded words (RFC 2047), transfer encodings.

Every function answers with text or bytes, whatever it is given: a mail that is wrong about itself is still read.
"""

import base64
import binascii
import codecs
import re

# A word that runs into the next line, or into the next word, is common in the field and is read all the same.
_WORD = re.compile(r"=\?([!-<>@-~]{1,40}?)(?:\*[^?]{0,20})?\?([bBqQ])\?([^?]*)\?=")
_BETWEEN = re.compile(r"(\?=)\s+(?==\?[!-<>@-~]{1,40}\?[bBqQ]\?)")
_QUOTED = re.compile(rb"=([0-9A-Fa-f]{2})")
_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/]")
# Text codecs of Python that are no charsets of mail: slow on hostile input, or not decoders of text at all.
_REFUSED = frozenset({"idna", "punycode", "undefined", "unicode-escape", "raw-unicode-escape", "mbcs", "oem"})


def decoded(raw: bytes, charset: str = "") -> str:
    """`raw` as text: in its `charset` if that is one and fits, else in UTF-8, else in Latin-1. NULs replaced."""
    for name in (charset, "utf-8"):
        try:
            if name and codecs.lookup(name).name not in _REFUSED:
                return raw.decode(name).replace("\0", "\ufffd")
        except (LookupError, ValueError):
            continue
    return raw.decode("latin-1").replace("\0", "\ufffd")


def decode_header(value: str) -> str:
    """A raw header value, unfolded, its encoded words decoded. Bytes above ASCII may stand in it as surrogates."""
    if not value.isascii():
        value = decoded(value.encode("utf-8", "surrogateescape"))
    value = re.sub(r"[\r\n]+[ \t]*", " ", value)
    if "=?" not in value:
        return value.strip()
    return _decode_words(_BETWEEN.sub(r"\1", value)).strip()


def _decode_words(value: str) -> str:
    """Decode runs of adjacent words of one charset together: some mailers split a character between two."""
    text: list[str] = []
    pending, charset, at = b"", "", 0
    for word in _WORD.finditer(value):
        if word.start() > at or word[1].lower() != charset:
            text += [decoded(pending, charset), value[at : word.start()]]
            pending, charset = b"", word[1].lower()
        pending += _word_bytes(word[2], word[3])
        at = word.end()
    return "".join([*text, decoded(pending, charset), value[at:]])


def _word_bytes(encoding: str, text: str) -> bytes:
    raw = text.encode("utf-8", "replace")
    if encoding in "bB":
        return from_base64(raw)
    return _QUOTED.sub(lambda m: bytes([int(m[1], 16)]), raw.replace(b"_", b" "))


def from_base64(raw: bytes) -> bytes:
    """What can be had of base64 text: strangers in it are skipped, a torn end is dropped."""
    clean = _NOT_BASE64.sub(b"", raw)
    clean = clean[: len(clean) - 1] if len(clean) % 4 == 1 else clean
    return base64.b64decode(clean + b"=" * (-len(clean) % 4))


def untransferred(raw: bytes, encoding: str) -> bytes:
    """`raw` without its Content-Transfer-Encoding; one that nobody knows leaves it as it is."""
    match encoding.strip().lower():
        case "base64":
            return from_base64(raw)
        case "quoted-printable":
            return binascii.a2b_qp(raw)
        case _:
            return raw
