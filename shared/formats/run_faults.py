"""Every fault of a run's document, up to fifty, in words that say what is right.

The way for documents that have been found wrong already: it takes them apart, so that no number of faults costs more
than the fifty that are told.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails, to_json

from shared.formats import run_model as model
from shared.formats.bounded import read_json
from shared.formats.faults import FAULTS_KEPT, Fault, Faulty, pointer

Path = tuple[str | int, ...]

_LISTS: dict[str, tuple[int, TypeAdapter[Any]]] = {
    "cases": (model.CASES, TypeAdapter(model.TestCase)),
    "checks": (model.CHECKS, TypeAdapter(model.Check)),
}
_SUBCASE = TypeAdapter(model.SubCase)

_PATTERNS = {
    "link": "should be an http or https address without blanks",
    "series": "should be the message id of the series' first mail, as in <20260820120501.1-1-a@example.org>",
}
_ONE_LINE = "should be one line, not empty, without control characters"
_ANY_LINE = "should be one line without control characters"
_TIME = "should be a time, as in 2026-08-20T12:05:01Z"
_WORDS = dict.fromkeys(("datetime_type", "datetime_parsing", "datetime_from_date_parsing", "value_error"), _TIME) | {
    "missing": "is required",
    "timezone_aware": "should say its time zone, as in 2026-08-20T12:05:01Z",
    "finite_number": "should be a finite number",
    "string_type": "should be a string",
    "int_type": "should be an integer",
    "float_type": "should be a number",
    "list_type": "should be a list",
    "dict_type": "should be an object",
    "model_type": "should be an object",
}


def find_faults(data: bytes, document: type[model.Batch]) -> Faulty:
    """What is wrong with `data`, which `document` has refused."""
    value = read_json(data)
    found = tuple(islice(_faults(value, document), FAULTS_KEPT))
    return Faulty(*found) if found else Faulty(Fault("", "cannot be read"))


def _faults(value: Any, document: type[model.Batch]) -> Iterator[Fault]:
    if not isinstance(value, dict):
        yield Fault("", "should be an object")
        return
    names = [name for name in _LISTS if name in document.model_fields and isinstance(value.get(name), list)]
    yield from _of(TypeAdapter(document), value | {name: [] for name in names}, ())
    for name in names:
        most, entry = _LISTS[name]
        yield from _of_list(value[name], (name,), most, entry)


def _of_list(value: list[Any], path: Path, most: int, entry: TypeAdapter[Any]) -> Iterator[Fault]:
    if len(value) > most:
        yield Fault(pointer(path), f"should have at most {most} entries, and not {len(value)}")
        return
    for index, one in enumerate(value):
        below = one.get("cases") if isinstance(one, dict) and path == ("cases",) else None
        if isinstance(below, list):
            yield from _of(entry, one | {"cases": []}, (*path, index))
            yield from _of_list(below, (*path, index, "cases"), model.CASES, _SUBCASE)
        else:
            yield from _of(entry, one, (*path, index))


def _of(adapter: TypeAdapter[Any], value: Any, path: Path) -> Iterator[Fault]:
    try:
        adapter.validate_json(to_json(value))
    except ValidationError as error:
        for one in error.errors(include_url=False, include_input=False):
            yield Fault(pointer((*path, *one["loc"])), _words(one))


def _words(error: ErrorDetails) -> str:
    kind, context = error["type"], error.get("ctx", {})
    name = next((part for part in reversed(error["loc"]) if isinstance(part, str)), "")
    match kind:
        case "extra_forbidden":
            return "is no key of this object"
        case "literal_error":
            return f"should be one of {context['expected']}"
        case "string_pattern_mismatch":
            return _PATTERNS.get(name, _ANY_LINE if context["pattern"].endswith("*$") else _ONE_LINE)
        case "string_too_long":
            return f"should have at most {context['max_length']} characters"
        case "too_long":
            return f"should have at most {context['max_length']} entries, and not {context['actual_length']}"
        case _:
            return _WORDS.get(kind) or error["msg"].replace("Input should", "should")
