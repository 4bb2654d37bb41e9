"""Where we stand in Patchwork's events, in the server's own words.

*Theory of operation.* Events have no order but their date, which is set before they can be seen: a slow mail's
events turn up behind the newest one, with lower ids. So each poll asks again for an overlap before the newest date
seen, and tells events apart by id. The dates have no zone and are the server's local time (from 3.2.0 on), so
nothing here looks at our clock: all arithmetic is on the strings that the server gave.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from services.ingest.sources.base import Place
from services.ingest.sources.patchwork.wire import EventRow


def back(cursor: str, span: timedelta) -> str:
    """The server's time `span` before `cursor`, in the server's form; "" before the first event."""
    return (datetime.fromisoformat(cursor) - span).isoformat() if cursor else ""


def fresh(place: Place, events: Iterable[EventRow]) -> list[EventRow]:
    """Those of `events` not seen before, oldest first, each once."""
    unseen = {event.id: event for event in events if event.id not in place.seen}
    return sorted(unseen.values(), key=lambda event: (datetime.fromisoformat(event.date), event.id))


def moved(place: Place, events: Iterable[EventRow], overlap: timedelta) -> Place:
    """The place after `events`: never further back, remembering the ids that the next poll will bring again."""
    dates = dict(place.seen) | {event.id: event.date for event in events}
    known = [*dates.values(), *([place.cursor] if place.cursor else [])]
    if not known:
        return place
    newest = max(known, key=datetime.fromisoformat)
    # A second more than the overlap: what is asked for is asked with >=.
    edge = datetime.fromisoformat(newest) - overlap - timedelta(seconds=1)
    return Place(newest, {id_: date for id_, date in dates.items() if datetime.fromisoformat(date) >= edge})
