"""The formats that a whole run may come in besides our own, by the name that a sender gives them."""

from collections.abc import Callable, Mapping

from shared.formats import junit, ktap_run, nipa
from shared.formats.faults import faulty
from shared.formats.reported import Reported

FORMATS: Mapping[str, Callable[[bytes], Reported]] = {
    "nipa": nipa.read_run,
    "junit": junit.read,
    "ktap": ktap_run.read,
}


def read(kind: str, data: bytes) -> Reported:
    """The run in `data`. Raises Faulty, also on a kind that nobody knows."""
    if kind not in FORMATS:
        raise faulty(f"{kind[:40]!r} is no format of results: {', '.join(FORMATS)} are read")
    return FORMATS[kind](data)
