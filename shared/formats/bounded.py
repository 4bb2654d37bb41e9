"""Reading strangers' JSON: strict, and bounded before anything is built from it.

Answers with plain values or with Faulty. What a parser would forgive is refused: bytes that are no UTF-8, a key twice
in one object, NaN and what overflows to infinity, integers of over 18 digits, NUL and half surrogates in strings.
Knows no document.

Theory of operation. `scan` walks the bytes once in the primitives of `bytes`, a chunk at a time: it drops escapes, then
all that is neither quote nor mark, then strings. What is left are the marks that make structure, and their numbers
are what the document would cost to build. A parser sees only what has passed, so that neither depth nor count can
hurt it.
"""

import codecs
import json
from collections.abc import Iterator
from itertools import accumulate
from typing import Any

from pydantic_core import from_json

from shared.formats.faults import FAULTS_KEPT, Fault, Faulty, faulty, pointer, too_large
from shared.formats.unpack import UNPACKED, Unpacker, unpack

__all__ = ["DEPTH", "UNPACKED", "Fault", "Faulty", "Unpacker", "faulty", "read_json", "scan", "unpack"]

DEPTH = 16
CONTAINERS = 200_000
"""Objects and lists of one document. An empty one costs hundreds of bytes to read, and two to send."""

VALUES = 600_000
KEYS = 100_000
"""Keys of one document, besides a dozen for each of its objects and lists."""
WHOLE_NUMBER = 10**18 - 1

_CHUNK = 1 << 20
_FOLD = bytes.maketrans(b"{}", b"[]")
_DROP = bytes(set(range(256)) - set(b'"[]{},:'))
_PEELS = 4
_SEARCHED = 8 << 20
_STEPS = {ord("["): 1, ord("]"): -1}


def scan(data: bytes, *, depth: int = DEPTH, values: int = VALUES, containers: int = CONTAINERS) -> int:
    """Refuse `data` if it is no UTF-8 or too much to read; else give the number of keys it spells out.

    Says nothing of whether it is JSON. A string of over two MiB is too much as well: one wide character in it makes
    it four times as large in memory.
    """
    _utf8(data)
    keys = opened = separated = level = 0
    for marks in _marks(data):
        keys += marks.count(b":")
        separated += marks.count(b",")
        brackets = marks.translate(None, b",:")
        if _highest(brackets, level, depth) > depth:
            raise faulty(f"nested deeper than {depth}")
        opens = brackets.count(b"[")
        opened += opens
        level += 2 * opens - len(brackets)
        if opened > containers:
            raise faulty(f"more than {containers} objects and lists")
        if keys > KEYS + 12 * opened:
            raise faulty(f"more than {KEYS} keys in few objects")
        if opened + separated > values:
            raise faulty(f"more than {values} values")
    return keys


def _utf8(data: bytes) -> None:
    if data.isascii():
        return
    decoder = codecs.getincrementaldecoder("utf-8")()
    for at in range(0, len(data) + 1, _CHUNK):
        pending = len(decoder.getstate()[0])
        try:
            decoder.decode(data[at : at + _CHUNK], final=at + _CHUNK > len(data))
        except UnicodeDecodeError as error:
            raise faulty(f"not UTF-8 at byte {at - pending + error.start}: {error.reason}") from error


def _marks(data: bytes) -> Iterator[bytes]:
    """The brackets (all as ``[`` and ``]``), commas and colons outside of strings, chunk by chunk."""
    inside = escaped = False
    for at in range(0, len(data), _CHUNK):
        chunk = data[at + escaped : at + _CHUNK]
        escaped = (len(chunk) - len(chunk.rstrip(b"\\"))) % 2 == 1
        if b"\\" in chunk:
            # Pairs go first, from the left: what then stands before a quote escapes it.
            chunk = chunk.replace(b"\\\\", b"").replace(b'\\"', b"")
        marks = chunk.translate(_FOLD, _DROP)
        if inside and b'"' not in marks and len(data) - at >= _CHUNK:
            raise faulty(f"a string of over {_CHUNK} bytes around byte {at}")
        # Two quotes side by side hold nothing that counts, and without them the same is inside as before.
        parts = ((b'"' if inside else b"") + marks).replace(b'""', b"").split(b'"')
        inside = len(parts) % 2 == 0
        yield b"".join(parts[::2])


def _highest(brackets: bytes, level: int, most: int) -> int:
    """The deepest level reached, or a bound that is quick to have if that is not over `most`."""
    peeled = brackets
    for _ in range(_PEELS):
        # A leaf less everywhere takes one off the height.
        peeled = peeled.replace(b"[]", b"")
    if (bound := level + peeled.count(b"[") + _PEELS) <= most:
        return bound
    return level + max(accumulate(map(_STEPS.__getitem__, brackets)), default=0)


def read_json(
    data: bytes, *, depth: int = DEPTH, values: int = VALUES, containers: int = CONTAINERS, size: int = UNPACKED
) -> Any:
    """The value that `data` is the JSON of. Raises Faulty."""
    if len(data) > size:
        raise too_large(size)
    keys = scan(data, depth=depth, values=values, containers=containers)
    try:
        value = from_json(data, allow_inf_nan=False)
    except ValueError as error:
        raise faulty(not_json(str(error))) from error
    check_values(value, keys, data)
    return value


def not_json(said: str) -> str:
    """The parser's words on what is no JSON, with the one that misleads put right."""
    if "hex escape" in said:
        said += " (half of a surrogate pair is no character)"
    return f"not JSON: {said}"


def check_values(value: Any, keys: int, data: bytes) -> None:
    """Refuse the values that JSON can spell and nobody can keep, and keys that the parser has merged."""
    held, sound = _tally(value, b"\\u0000" in data)
    if not sound:
        raise Faulty(*_unsound(value))
    if held != keys:
        raise twice(data)


def tally(value: Any) -> int:
    """The number of keys in `value`. Raises Faulty on values that cannot be kept, NULs in strings apart."""
    keys, sound = _tally(value, False)
    if not sound:
        raise Faulty(*_unsound(value))
    return keys


def _tally(value: Any, strings: bool) -> tuple[int, bool]:
    """How many keys there are, and whether every value can be kept; looks into strings only if told to."""
    keys, stack = 0, [value]
    while stack:
        one = stack.pop()
        kind = type(one)
        if kind is dict:
            keys += len(one)
            stack += one.values()
            if strings:
                stack += one
        elif kind is list:
            stack += one
        elif (kind is not str or strings) and unkept(one):
            return keys, False
    return keys, True


def unkept(value: Any) -> str:
    """Why a scalar cannot be kept, in words; "" if it can."""
    match value:
        case str():
            return "holds a NUL character" if "\0" in value else ""
        case bool() | None:
            return ""
        case int():
            return "an integer of over 18 digits" if abs(value) > WHOLE_NUMBER else ""
        case float():
            return "" if value - value == 0 else "a number too large to keep"
        case _:
            return ""


def _unsound(value: Any) -> Iterator[Fault]:
    found = 0
    stack: list[tuple[tuple[str | int, ...], Any]] = [((), value)]
    while stack and found < FAULTS_KEPT:
        path, one = stack.pop()
        if isinstance(one, dict):
            stack += [((*path, key.replace("\0", "\ufffd")), below) for key, below in reversed(one.items())]
            why = next((f"a key {unkept(key)}" for key in one if unkept(key)), "")
        elif isinstance(one, list):
            stack += [((*path, index), below) for index, below in reversed([*enumerate(one)])]
            why = ""
        else:
            why = unkept(one)
        if why:
            found += 1
            yield Fault(pointer(path), why)


class _Pairs(list[tuple[str, Any]]):
    """An object as it was written, every key of it."""


def twice(data: bytes) -> Faulty:
    """Where a key stands twice in one object, in a document that has such. A large one is not searched again."""
    if len(data) > _SEARCHED:
        return faulty("a key stands twice in one object")
    found: list[Fault] = []
    stack: list[tuple[tuple[str | int, ...], Any]] = [((), json.loads(data, object_pairs_hook=_Pairs))]
    while stack and len(found) < FAULTS_KEPT:
        path, one = stack.pop()
        if isinstance(one, _Pairs):
            seen = set()
            for key, below in one:
                if key in seen:
                    found.append(Fault(pointer((*path, key)), "the key stands twice in one object"))
                seen.add(key)
                stack.append(((*path, key), below))
        elif isinstance(one, list):
            stack += [((*path, index), below) for index, below in enumerate(one)]
    return Faulty(*found)
