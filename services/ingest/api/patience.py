"""Until when a lab must be heard of. Pure."""

from datetime import datetime, timedelta

from shared.formats.faults import Fault, Faulty
from shared.settings import Labs


def deadline(started: datetime, heard: datetime, expected_end: datetime | None, labs: Labs) -> datetime:
    """When an open run is closed for its silence: past its expected end and `silence` after the last word, and after
    `longest` in any case.
    """
    quiet = heard + labs.silence
    return min(started + labs.longest, max(quiet, expected_end or quiet))


def check_end(expected_end: datetime, started: datetime, now: datetime, labs: Labs) -> None:
    """Raises Faulty for an expected end that cannot be."""
    if expected_end <= now:
        raise Faulty(Fault("/expected_end", f"is over: it is {now.isoformat(timespec='seconds')} here"), status=422)
    if expected_end > started + labs.longest:
        hours = labs.longest / timedelta(hours=1)
        raise Faulty(
            Fault("/expected_end", f"is more than {hours:g} hours after the start: no run lasts longer here"),
            status=422,
        )
