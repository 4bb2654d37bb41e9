"""The place in Patchwork's events."""

import random
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from services.ingest.sources.base import Place
from services.ingest.sources.patchwork import cursor
from services.ingest.sources.patchwork.wire import EventRow

OVERLAP = timedelta(minutes=10)


def an_event(id_: int, date: str) -> EventRow:
    return EventRow.model_validate({"id": id_, "date": date, "payload": {"series": {"id": id_}}})


def test_the_servers_form_of_a_date_is_kept() -> None:
    assert cursor.back("2026-11-23T08:44:56.512731", OVERLAP) == "2026-11-23T08:34:56.512731"
    assert cursor.back("2026-11-23T08:44:56", OVERLAP) == "2026-11-23T08:34:56"
    assert cursor.back("", OVERLAP) == ""


def test_the_cursor_is_the_newest_string_itself() -> None:
    events = [an_event(1, "2026-11-23T08:44:56"), an_event(2, "2026-11-23T08:44:56.500000")]
    assert cursor.moved(Place(), events, OVERLAP).cursor == "2026-11-23T08:44:56.500000"


def test_it_never_goes_back() -> None:
    place = Place("2026-11-23T09:00:00")
    assert cursor.moved(place, [an_event(1, "2026-11-23T08:59:00")], OVERLAP).cursor == place.cursor
    assert cursor.moved(place, [], OVERLAP) == place


def test_an_event_of_the_past_is_fresh_though_its_id_is_lower() -> None:
    place = cursor.moved(Place(), [an_event(9, "2026-11-23T09:00:00")], OVERLAP)
    late = an_event(3, "2026-11-23T08:55:00")
    assert cursor.fresh(place, [late, an_event(9, "2026-11-23T09:00:00")]) == [late]


def test_ids_older_than_the_overlap_are_forgotten() -> None:
    events = [an_event(1, "2026-11-23T08:00:00"), an_event(2, "2026-11-23T09:00:00")]
    assert cursor.moved(Place(), events, OVERLAP).seen == {2: "2026-11-23T09:00:00"}


@given(st.lists(st.integers(0, 3000), min_size=1, max_size=60), st.integers(0, 2**32))
def test_however_events_turn_up_each_is_handled_once(ages: list[int], seed: int) -> None:
    """Events become visible late by less than the overlap, in any order; the server gives all at or after `since`."""
    chance = random.Random(seed)
    events = [an_event(n + 1, _at(age)) for n, age in enumerate(ages)]
    visible = {
        event.id: age + chance.randrange(int(OVERLAP.total_seconds())) for event, age in zip(events, ages, strict=True)
    }
    place, handled = Place(), []
    for now in range(0, 3700, 97):
        since = cursor.back(place.cursor, OVERLAP)
        answer = [event for event in events if visible[event.id] <= now and event.date >= since]
        chance.shuffle(answer)
        handled += [event.id for event in cursor.fresh(place, answer)]
        place = cursor.moved(place, answer, OVERLAP)
    assert sorted(handled) == sorted(event.id for event in events)


def _at(seconds: int) -> str:
    return f"2026-11-23T{8 + seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
