"""Events only grow: each type's JSON Schema against the one that was published.

A new optional field, a new type and a new word in a list are growth. `python -m tests.shared.events.test_schemas`
writes the files anew, after this test has said that nothing was taken away.
"""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from shared.events import BY_TYPE, Envelope

GOLDEN = Path(__file__).parents[2] / "golden" / "events"

SCHEMAS: dict[str, dict[str, Any]] = {"envelope": Envelope.model_json_schema()} | {
    name: event.model_json_schema() for name, event in BY_TYPE.items()
}


def removals(old: Any, new: Any, where: str = "") -> list[str]:
    """What a reader of `old` would miss or not understand in `new`."""
    found: list[str] = []
    if isinstance(old, dict) and isinstance(new, dict):
        for key, value in old.items():
            if key in ("description", "title"):
                continue
            if key == "required":
                # Always there before; a default would still send it, but readers' schemas say "required".
                found += [
                    f"{where}/required: {name} is optional now" for name in sorted(set(value) - set(new.get(key, [])))
                ]
            elif key not in new:
                found.append(f"{where}/{key} is gone")
            else:
                found += removals(value, new[key], f"{where}/{key}")
        if "properties" in old:
            added = set(new.get("required", [])) - set(old.get("required", []))
            fresh = added - set(old["properties"])
            found += [f"{where}/required: {name} is new and not optional" for name in sorted(fresh)]
    elif isinstance(old, list) and isinstance(new, list):
        found += [f"{where}: {item} is gone" for item in old if item not in new]
    elif old != new:
        found.append(f"{where} was {old!r}, is {new!r}")
    return found


def golden(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((GOLDEN / f"{name}.json").read_text("utf-8"))
    return found


@pytest.mark.parametrize("name", sorted(SCHEMAS))
def test_nothing_was_taken_away(name: str) -> None:
    assert removals(golden(name), SCHEMAS[name]) == []


def test_no_type_is_gone_and_every_type_is_published() -> None:
    assert {p.stem for p in GOLDEN.glob("*.json")} == set(SCHEMAS)


def changed(change: Any) -> dict[str, Any]:
    schema = copy.deepcopy(SCHEMAS["dev.netci.run.done.v1"])
    change(schema)
    return schema


def test_a_new_optional_field_is_growth() -> None:
    old = SCHEMAS["dev.netci.run.done.v1"]
    assert removals(old, changed(lambda s: s["properties"].update(more={"type": "string", "default": ""}))) == []


@pytest.mark.parametrize(
    "change",
    [
        lambda s: s["properties"].pop("state"),
        lambda s: s["properties"]["run"].update(type="string"),
        lambda s: s["required"].remove("run"),
        lambda s: (s["properties"].update(more={"type": "string"}), s["required"].append("more")),
    ],
)
def test_a_removal_a_change_and_a_new_demand_are_refused(change: Any) -> None:
    assert len(removals(SCHEMAS["dev.netci.run.done.v1"], changed(change))) == 1


if __name__ == "__main__":
    GOLDEN.mkdir(parents=True, exist_ok=True)
    for name, schema in SCHEMAS.items():
        (GOLDEN / f"{name}.json").write_text(json.dumps(schema, indent=1, sort_keys=True) + "\n", "utf-8")
