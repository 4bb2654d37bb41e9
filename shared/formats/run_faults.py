"""Every fault of a run's document, up to fifty, in words that say what is right.

The way for documents that have been found wrong already: it takes them apart, so that no number of faults costs more
than the fifty that are told.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails, to_json

from shared.formats import run_model as model
from shared.formats.bounded import read_json
from shared.formats.faults import FAULTS_KEPT, Fault, Faulty, in_words, pointer

Path = tuple[str | int, ...]

_KINDS: tuple[Any, ...] = (
    model.RunDocument, model.Batch, model.Facts, model.TestCase, model.SubCase, model.Check,
)  # fmt: skip
_ADAPTERS = {kind: TypeAdapter(kind) for kind in _KINDS}
_LISTS = {"cases": (model.CASES, model.TestCase), "checks": (model.CHECKS, model.Check)}

_PATTERNS = {
    "link": "should be an http or https address without blanks",
    "series": "should be the message id of the series' first mail, as in <20260820120501.1-1-a@example.org>",
}
_ONE_LINE = "should be one line, not empty, without control characters"
_ANY_LINE = "should be one line without control characters"
_TIME = "should be a time, as in 2026-08-20T12:05:01Z"
_TIMES = ("datetime_type", "datetime_parsing", "datetime_from_date_parsing", "value_error")


def find_faults(data: bytes, document: type[model.Batch]) -> Faulty:
    """What is wrong with `data`, which `document` has refused, or of which it has passed over some keys."""
    value = read_json(data)
    found = tuple(islice(faults_in(value, document), FAULTS_KEPT))
    return Faulty(*found) if found else Faulty(Fault("", "cannot be read"))


def faults_in(value: Any, document: type[BaseModel]) -> Iterator[Fault]:
    """The faults of `value` as a `document`, one by one; unknown keys at any depth are such."""
    if not isinstance(value, dict):
        yield Fault("", "should be an object")
        return
    known = document.model_fields
    lists = [name for name in _LISTS if name in known and isinstance(value.get(name), list)]
    empty: dict[str, Any] = {name: [] for name in lists}
    if "facts" in known and isinstance(value.get("facts"), dict):
        yield from _of(model.Facts, value["facts"], ("facts",))
        empty["facts"] = {}
    yield from _of(document, value | empty, ())
    for name in lists:
        most, kind = _LISTS[name]
        yield from _of_list(value[name], (name,), most, kind)


def _of_list(value: list[Any], path: Path, most: int, kind: Any) -> Iterator[Fault]:
    if len(value) > most:
        yield Fault(pointer(path), f"should have at most {most} entries, and not {len(value)}")
        return
    for index, one in enumerate(value):
        below = one.get("cases") if isinstance(one, dict) and kind is model.TestCase else None
        if isinstance(below, list):
            yield from _of(kind, one | {"cases": []}, (*path, index))
            yield from _of_list(below, (*path, index, "cases"), model.CASES, model.SubCase)
        else:
            yield from _of(kind, one, (*path, index))


def _of(kind: Any, value: Any, path: Path) -> Iterator[Fault]:
    """The faults of one object, whose lists of objects have been emptied."""
    if isinstance(value, dict):
        known = getattr(kind, "model_fields", None) or kind.__annotations__
        for key in value:
            if key not in known:
                yield Fault(pointer((*path, key)), f"is no key here; these are: {', '.join(sorted(known))}")
        value = {key: one for key, one in value.items() if key in known}
    try:
        (_ADAPTERS.get(kind) or TypeAdapter(kind)).validate_json(to_json(value))
    except ValidationError as error:
        for one in error.errors(include_url=False, include_input=False):
            yield Fault(pointer((*path, *one["loc"])), _words(one))


def _words(error: ErrorDetails) -> str:
    kind, context = error["type"], error.get("ctx", {})
    name = next((part for part in reversed(error["loc"]) if isinstance(part, str)), "")
    if kind == "string_pattern_mismatch":
        return _PATTERNS.get(name, _ANY_LINE if context["pattern"].endswith("*$") else _ONE_LINE)
    return _TIME if kind in _TIMES else in_words(error)
