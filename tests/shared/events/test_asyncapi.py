"""The AsyncAPI document: valid by the official schema, whole, and true of events as they are on the wire."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from shared.clock import wall
from shared.events import BY_TYPE, EVENTS, Envelope, Event, RunDone
from shared.events.asyncapi import document, schema_of
from shared.model.ids import uuid7

OFFICIAL = Path(__file__).parents[2] / "golden" / "asyncapi" / "3.0.0.json"
"""From `@asyncapi/specs`; see the README beside it."""


def faults(made: dict[str, Any]) -> list[str]:
    validator = jsonschema.Draft7Validator(json.loads(OFFICIAL.read_text("utf-8")))
    return [f"{error.json_path}: {error.message[:300]}" for error in validator.iter_errors(made)]


@pytest.mark.parametrize("url", ["https://ci.example.org", "http://127.0.0.1:8080", "https://example.org/ci"])
def test_it_is_valid(url: str) -> None:
    assert faults(document(url, "netci-two")) == []


def test_a_fault_is_found() -> None:
    made = document()
    made["operations"]["stream"]["action"] = "shout"
    assert faults(made) != []


def refs(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [*([value["$ref"]] if isinstance(value.get("$ref"), str) else []), *refs(list(value.values()))]
    return [ref for one in value for ref in refs(one)] if isinstance(value, list) else []


def test_every_reference_leads_somewhere() -> None:
    made = document()
    for ref in refs(made):
        at: Any = made
        for part in ref.removeprefix("#/").split("/"):
            at = at[part]


def test_every_type_goes_out_by_every_way() -> None:
    made, kinds = document(), {event.type_name().removeprefix("dev.netci.") for event in EVENTS}
    assert made["channels"].keys() == {"stream", "page", "webhook", "exchange"}
    assert all(channel["messages"].keys() == kinds for channel in made["channels"].values())
    webhook = made["components"]["messages"]["signed.branch.cut.v1"]
    assert set(webhook["headers"]["required"]) == {"webhook-id", "webhook-timestamp", "webhook-signature"}
    assert made["channels"]["exchange"]["bindings"]["amqp"]["exchange"]["type"] == "topic"


def a_done_run() -> RunDone:
    return RunDone(
        project="netdev", run=17, remote="metal", executor="vmksft-net", stream="net-next", branch="b", cut=3,
        state="done", counts={"pass": 2},
    )  # fmt: skip


def on_the_wire(event: Event) -> Any:
    return json.loads(Envelope.around(event, id=uuid7(), source="report", time=wall()).wire())


@pytest.mark.parametrize("name", ["run.done", "dev.netci.run.done.v1"])
def test_a_schema_takes_the_event_as_it_is_sent_and_no_other(name: str) -> None:
    schema = schema_of(name)
    assert schema is not None
    validator = jsonschema.Draft202012Validator(schema)
    told = on_the_wire(a_done_run())
    assert [e.message for e in validator.iter_errors(told)] == []
    assert list(validator.iter_errors(told | {"type": "dev.netci.run.started.v1"})) != []
    assert list(validator.iter_errors(told | {"data": {"run": "x"}})) != []


@pytest.mark.parametrize("name", [*BY_TYPE, "envelope"])
def test_every_schema_is_one(name: str) -> None:
    schema = schema_of(name, "https://ci.example.org")
    assert schema is not None
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["$id"] == f"https://ci.example.org/api/v1/schemas/{name}.json"


def test_of_no_type_there_is_no_schema() -> None:
    assert schema_of("branch.cut.v1.json") is None
