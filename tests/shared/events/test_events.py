"""Events on the wire: CloudEvents 1.0, frozen, small, with a trace that goes on."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from shared.bus.base import decode
from shared.events import BY_TYPE, EVENTS, BranchCut, Envelope, SeriesRefused
from shared.events.base import LIMIT
from shared.events.trace import follow, traceparent
from shared.model.ids import uuid7
from shared.model.results import Purpose

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)


def a_refusal(**changes: Any) -> SeriesRefused:
    fields: dict[str, Any] = {"project": "netdev", "series": 17, "revision": 1, "message_id": "a@b", "reason": "no"}
    return SeriesRefused(**fields | changes)


def around(event: Any) -> Envelope:
    return Envelope.around(event, id=uuid7(), source="branch", time=NOW)


def test_the_wire_form_is_cloudevents() -> None:
    wire = json.loads(around(a_refusal()).wire())
    assert wire["specversion"] == "1.0"
    assert wire["type"] == "dev.netci.series.refused.v1"
    assert (wire["source"], wire["subject"], wire["correlation"]) == ("/netci/branch", "series/17", "series/17")
    assert (wire["visibility"], wire["project"], wire["sequence"]) == ("public", "netdev", "")
    assert wire["time"] == "2026-11-23T09:00:00Z"


def test_what_goes_out_comes_back() -> None:
    event = BranchCut(
        project="netdev", cut=3, stream="net-next", branch="b", commit="a" * 40, base="b" * 40,
        purpose=Purpose.SCHEDULED, slot=NOW, public_url="https://x", taken=2, left_out=1,
    )  # fmt: skip
    envelope = around(event)
    assert decode(envelope.type, json.loads(envelope.wire())) == (envelope, event)


def test_fields_of_a_newer_version_are_passed_over_and_unknown_types_are_none() -> None:
    body = json.loads(around(a_refusal()).wire())
    body["data"]["newer"] = 1
    body["extension"] = "x"
    assert decode(body["type"], body) is not None
    assert decode("dev.netci.series.refused.v2", body) is None


def test_an_event_is_frozen() -> None:
    with pytest.raises(ValidationError):
        setattr(a_refusal(), "reason", "other")  # noqa: B010


def test_a_document_is_no_event() -> None:
    around(a_refusal(reason="x" * (LIMIT - 1000)))
    with pytest.raises(ValueError, match=f"events stay under {LIMIT}"):
        around(a_refusal(reason="x" * LIMIT))
    with pytest.raises(ValueError, match="events stay under"):
        around(a_refusal(reason="é" * (LIMIT // 2)))


def test_types_are_named_once() -> None:
    assert len(BY_TYPE) == len(EVENTS)
    assert all(name.startswith("dev.netci.") and name.endswith(".v1") for name in BY_TYPE)


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValidationError):
        Envelope.around(a_refusal(), id=uuid7(), source="branch", time=datetime(2026, 1, 1))  # noqa: DTZ001


def test_a_trace_goes_on_with_a_new_span() -> None:
    follow("00-" + "a" * 32 + "-" + "b" * 16 + "-01")
    one, two = traceparent(), traceparent()
    assert one.split("-")[1] == two.split("-")[1] == "a" * 32
    assert one != two
    follow("nonsense")
    assert traceparent().split("-")[1] != "a" * 32
    follow("")


def test_ids_sort_by_time() -> None:
    assert uuid7(now=1.0) < uuid7(now=1.002)
    assert (uuid7().version, uuid7().variant) == (7, "specified in RFC 4122")
