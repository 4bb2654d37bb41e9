"""Recorded answers of Patchwork, and what is no answer."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.sources.patchwork import plan
from services.ingest.sources.patchwork.source import cover_path, patch_state, sighting
from services.ingest.sources.patchwork.wire import EventRow, MailRow, PatchRow, SeriesRow, moment, read, read_all
from shared.errors import Transient

RECORDED = Path(__file__).parents[3] / "golden/patchwork/recorded"


def body(name: str) -> Any:
    return json.loads(next(RECORDED.glob(f"{name}*.json")).read_text())["response"]["body"]


def test_a_recorded_series() -> None:
    seen = sighting(read(SeriesRow, body("010-")))
    assert (seen.external_id, seen.received, seen.total, seen.complete) == (6, 5, 4, True)
    assert seen.message_id == "cover.1781996400.git.idosch@nvidia.com"
    assert read(SeriesRow, seen.ticket).patches[4].name.startswith("[iproute2-next,5/4]")


def test_a_recorded_pull_request() -> None:
    row = read(PatchRow, body("096-")[0])
    assert row.pull_url == "git://git.kernel.org/pub/scm/network/iproute2/iproute2-next.git main"
    assert patch_state(row).series == (11,)


def test_recorded_events() -> None:
    rows = list(read_all(EventRow, body("005-")))
    assert [row.payload.series.id if row.payload.series else 0 for row in rows] == [3] * 6


def test_a_row_that_does_not_fit_leaves_the_others() -> None:
    rows = list(read_all(EventRow, [{"id": "x"}, *body("005-"), None, {"id": 1, "date": "yesterday"}]))
    rows += read_all(EventRow, [{"id": 1, "date": date} for date in ("2026-13-01T00:00:00", "0001-01-01T00:00:00")])
    assert len(rows) == 6
    with pytest.raises(Transient, match="SeriesRow id"):
        read(SeriesRow, {})


def test_what_strangers_wrote_is_fit_to_store() -> None:
    row = read(SeriesRow, {"id": 1, "name": "a\0b\ud800\x1b[31m", "submitter": {"name": None, "email": "x\ny"}})
    assert row.submitter is not None
    assert "\0" not in row.name + row.submitter.email
    json.dumps(row.model_dump(mode="json")).encode()
    row.name.encode()


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    )
)
def test_any_json_is_a_row_or_refused(value: Any) -> None:
    for model in (SeriesRow, PatchRow, EventRow):
        list(read_all(model, [value]))


def test_a_cover_is_fetched_by_the_path_as_given() -> None:
    row = MailRow(id=1, mbox="http://elsewhere/project/netdevbpf/cover/a%252Fb@c/mbox/")
    assert cover_path(row) == "/project/netdevbpf/cover/a%252Fb@c/mbox/"


def test_moments() -> None:
    assert str(moment("2026-06-21T03:00:00")) == "2026-06-21 03:00:00+00:00"
    assert moment("") is None


def test_lists_are_read_only_while_they_pay() -> None:
    assert [plan.worth_listing(n) for n in (1, 2, 3)] == [False, False, True]
    assert plan.worth_another(10, {1, 500}, 100)
    assert not plan.worth_another(2, {1}, 100)
    assert not plan.worth_another(10, {500}, 100)
    assert [len(part) for part in plan.in_look_ups(list(range(90)))] == [40, 40, 10]
