"""What a benchmark measured: metrics from its output, and their median and spread over repetitions.

A line ``metric: NAME VALUE [UNIT] [higher|lower]`` is one value; the last word says which is better. A JSON object,
on a line or as the whole output, with ``metrics``: ``{NAME: value}``, the value being a number, a list of them or
``{"value": …, "unit": …, "better": …}``, is as good. A name may come again: each value is one more measurement.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

from shared.formats.bounded import read_json
from shared.formats.clean import cut, plain
from shared.formats.faults import Faulty

MOST = 1000
"""Metrics of one output."""
MOST_VALUES = 10_000
_LARGEST = 1e150

_NUMBER = r"[-+]?[0-9]{1,20}(?:\.[0-9]{1,20})?(?:[eE][-+]?[0-9]{1,2})?"
_LINE = re.compile(
    rf"^metric:[ \t]+(\S{{1,200}})[ \t]+({_NUMBER})(?:[ \t]+(?!(?:higher|lower)\b)(\S{{1,30}}))?"
    r"(?:[ \t]+(higher|lower))?[ \t]*\r?$"
)


@dataclass(frozen=True, slots=True)
class Metric:
    """One quantity, as often as it was measured. `better` is ``higher``, ``lower`` or empty: not said."""

    name: str
    values: tuple[float, ...]
    unit: str = ""
    better: str = ""

    @property
    def median(self) -> float:
        return float(median(self.values))

    @property
    def spread(self) -> float:
        """Largest less smallest, as a share of the median; 0 where that is 0."""
        middle = abs(self.median)
        return (max(self.values) - min(self.values)) / middle if middle else 0.0

    def __str__(self) -> str:
        unit = f" {self.unit}" if self.unit else ""
        if len(self.values) == 1:
            return f"{self.median:.6g}{unit}"
        range_ = f"{min(self.values):.6g} to {max(self.values):.6g}"
        return f"median {self.median:.6g}{unit} of {len(self.values)}, {range_}, spread {self.spread:.1%}"


@dataclass(frozen=True, slots=True)
class Measured:
    """The metrics in the order in which they were first named, and what was wrong with the output, in words."""

    metrics: tuple[Metric, ...] = ()
    faults: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Value:
    name: str
    value: float
    unit: str = ""
    better: str = ""


def read(text: str) -> Measured:
    """What `text` tells of. Never raises."""
    found: dict[str, list[_Value]] = {}
    faults: dict[str, None] = {}
    for count, one in enumerate(_values(text, faults)):
        if count >= MOST_VALUES or (one.name not in found and len(found) >= MOST):
            faults[f"more than {MOST} metrics or {MOST_VALUES} values, the rest was not read"] = None
            break
        found.setdefault(one.name, []).append(one)
    return Measured(tuple(_metric(name, values, faults) for name, values in found.items()), tuple(faults)[:20])


def _metric(name: str, values: list[_Value], faults: dict[str, None]) -> Metric:
    units = {one.unit for one in values}
    if len(units) > 1:
        faults[f"{name} is given in {' and in '.join(sorted(unit or 'no unit' for unit in units))}"] = None
    first = values[0]
    better = next((one.better for one in values if one.better), "")
    return Metric(name, tuple(one.value for one in values), first.unit, better)


def _values(text: str, faults: dict[str, None]) -> Iterator[_Value]:
    whole = text.strip()
    if whole.startswith("{") and (document := _object(whole)) is not None:
        yield from _of_document(document, faults)
        return
    for line in text.splitlines():
        if found := _LINE.match(line):
            yield _Value(plain(found[1]), float(found[2]), plain(found[3] or ""), found[4] or "")
        elif line.startswith("metric:"):
            faults[f"no metric: {cut(plain(line), 100)!r}"] = None
        elif line.startswith("{") and '"metrics"' in line and (document := _object(line)) is not None:
            yield from _of_document(document, faults)


def _object(text: str) -> dict[str, Any] | None:
    try:
        value = read_json(text.encode(errors="replace"))
    except Faulty:
        return None
    return value if isinstance(value, dict) else None


def _of_document(document: Mapping[str, Any], faults: dict[str, None]) -> Iterator[_Value]:
    metrics = document.get("metrics")
    for name, said in metrics.items() if isinstance(metrics, dict) else ():
        about = said if isinstance(said, dict) else {"value": said}
        value = about.get("value")
        numbers: list[Any] = value if isinstance(value, list) else [value]
        name = cut(plain(name), 200)
        if not name or not numbers or not all(_is_number(number) for number in numbers):
            faults[f"metric {name!r} is no number and no list of numbers"] = None
            continue
        better = about.get("better")
        for number in numbers:
            yield _Value(name, float(number), _unit(about.get("unit")), better if better in ("higher", "lower") else "")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _LARGEST


def _unit(value: object) -> str:
    return cut(plain(value).strip(), 30) if isinstance(value, str) else ""
