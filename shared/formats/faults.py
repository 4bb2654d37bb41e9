"""What is wrong with a document from outside, and where: a list its author can work through in one go.

Places are JSON pointers (RFC 6901). Knows no format; each says its own words.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from pydantic_core import ErrorDetails

from shared.errors import Refused

FAULTS_KEPT = 50
"""Faults told of one document: who has more, has one fault many times."""
_KEY_KEPT = 200

_WORDS = {
    "missing": "is required",
    "extra_forbidden": "is no key here",
    "timezone_aware": "should say its time zone, as in 2026-08-20T12:05:01Z",
    "finite_number": "should be a finite number",
    "string_type": "should be a string",
    "int_type": "should be an integer",
    "int_parsing": "should be an integer",
    "float_type": "should be a number",
    "list_type": "should be a list",
    "dict_type": "should be an object",
    "model_type": "should be an object",
    "model_attributes_type": "should be an object",
}


@dataclass(frozen=True, slots=True)
class Fault:
    """`pointer` is the place, "" the whole document; `detail` says what is right."""

    pointer: str
    detail: str

    def __str__(self) -> str:
        return f"{self.pointer}: {self.detail}" if self.pointer else self.detail


class Faulty(Refused):
    """The document cannot be taken as it is.

    The hint `errors` has the faults for an answer over HTTP.
    """

    def __init__(self, *faults: Fault, status: int = 400) -> None:
        kept = faults[:FAULTS_KEPT]
        text = str(kept[0]) if kept else ""
        if len(faults) > 1:
            text += f" (and {len(faults) - 1} more)"
        super().__init__(text, errors=[{"pointer": fault.pointer, "detail": fault.detail} for fault in kept])
        self.faults = kept
        self.status_hint = status


def pointer(path: Iterable[str | int]) -> str:
    """The path of keys and indexes as a pointer. A key longer than any of ours is cut: the pointer is for a person."""
    return "".join("/" + str(part)[:_KEY_KEPT].replace("~", "~0").replace("/", "~1") for part in path)


def in_words(error: ErrorDetails) -> str:
    """What pydantic found, in words that say what is right. Whoever knows what a pattern means says so himself."""
    kind, context = error["type"], error.get("ctx", {})
    match kind:
        case "literal_error":
            return f"should be one of {context['expected']}"
        case "string_too_long":
            return f"should have at most {context['max_length']} characters"
        case "too_long":
            return f"should have at most {context['max_length']} entries, and not {context['actual_length']}"
        case _:
            return _WORDS.get(kind) or re.sub("^(Input|String|List|Value) should", "should", error["msg"])


def faulty(detail: str, *path: str | int) -> Faulty:
    """One fault, ready to raise."""
    return Faulty(Fault(pointer(path), detail))


def too_large(limit: int, of: str = "") -> Faulty:
    """The fault of a body of over `limit` bytes, which HTTP has a status of its own for."""
    return Faulty(Fault("", f"more than {limit} bytes{of}"), status=413)
