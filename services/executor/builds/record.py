"""What is kept beside a base's object folder: what its build said, as a document. Pure."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from services.executor.builds.compare import Standing
from services.executor.builds.diagnostics import Diagnostic

FORM = 2
"""Of this document, and of how builds are run: another number makes all bases anew."""


@dataclass(frozen=True, slots=True)
class About:
    """Of which base an object folder is, by which recipe and which tools (digests), and its size in bytes."""

    commit: str
    recipe: str
    tools: str
    bytes: int = 0
    seconds: float = 0.0
    form: int = FORM


@dataclass(frozen=True, slots=True)
class Record:
    """What the base's build said. `lacking`: symbols that did not come to stand as asked."""

    standing: Standing
    lacking: tuple[str, ...] = ()


def dump(record: Record) -> str:
    units = record.standing.units
    return json.dumps({
        "silent": sorted(unit for unit, said in units.items() if not said),
        "units": {unit: [_row(one) for one in said] for unit, said in units.items() if said},
        "hidden": {unit: [_row(one) for one in said] for unit, said in record.standing.hidden.items() if said},
        "built": record.standing.built,
        "products": sorted(record.standing.products),
        "lacking": record.lacking,
    })  # fmt: skip


def load(text: str) -> Record:
    """Raises ValueError for what `dump` did not write."""
    try:
        facts: Mapping[str, Any] = json.loads(text)
        units = {str(unit): () for unit in facts["silent"]} | {
            str(unit): tuple(_diagnostic(row) for row in rows) for unit, rows in facts["units"].items()
        }
        hidden = {str(unit): tuple(_diagnostic(row) for row in rows) for unit, rows in facts["hidden"].items()}
        standing = Standing(units, bool(facts["built"]), hidden, frozenset(facts["products"]))
        return Record(standing, tuple(facts["lacking"]))
    except (KeyError, TypeError, AttributeError) as exc:
        raise ValueError(f"no record of a base: {exc!r}") from None


def _row(one: Diagnostic) -> list[Any]:
    return [one.text, one.path, one.line, one.column, one.level, one.detail]


def _diagnostic(row: list[Any]) -> Diagnostic:
    text, path, line, column, level, detail = row
    return Diagnostic(text, path, line, column, level, tuple(detail))
