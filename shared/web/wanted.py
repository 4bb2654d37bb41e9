"""What a reader of the log wants, and may see. Pure; it refuses to know how events reach the reader.

All filters are repeatable, or take several words by commas: an event passes each filter by one of its words.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from shared.errors import Refused
from shared.events import BY_TYPE
from shared.web.audience import ANYBODY, Audience

MOST = 50
"""Words of one filter."""

KINDS: Mapping[str, str] = {event.kind: name for name, event in BY_TYPE.items()}
"""Short names of the types: ``branch.cut``."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What filters and audiences look at in an event. Empty: it tells of none."""

    type: str
    project: str
    visibility: str
    stream: str = ""
    remote: str = ""
    series: str = ""
    message_id: str = ""


@dataclass(frozen=True, slots=True)
class Filter:
    """What a reader wants; empty means everything that its `audience` may see.

    `series` are numbers; `mails` message ids of series that have no number yet.
    """

    types: frozenset[str] = frozenset()
    projects: frozenset[str] = frozenset()
    streams: frozenset[str] = frozenset()
    remotes: frozenset[str] = frozenset()
    series: frozenset[str] = frozenset()
    mails: frozenset[str] = frozenset()
    audience: Audience = ANYBODY

    def wants(self, facts: Facts) -> bool:
        return (
            self.audience.sees(facts.visibility, facts.project, facts.remote)
            and (not self.types or facts.type in self.types)
            and (not self.projects or facts.project in self.projects)
            and (not self.streams or facts.stream in self.streams)
            and (not self.remotes or facts.remote in self.remotes)
            and (not (self.series or self.mails) or facts.series in self.series or facts.message_id in self.mails)
        )

    def known(self, numbers: Mapping[str, Sequence[int]]) -> "Filter":
        """The same with the numbers of series whose mails were found."""
        series = self.series | {str(number) for found in numbers.values() for number in found}
        return replace(self, series=series, mails=self.mails.difference(numbers))

    def learn(self, facts: Facts) -> "Filter":
        """The same, once a series that was waited for by its mail has come: its runs are told by number."""
        if facts.message_id not in self.mails:
            return self
        return replace(self, series=self.series | {facts.series})


def parse_filter(words: Callable[[str], Sequence[str]], audience: Audience = ANYBODY) -> Filter:
    """The filter that a query asks for; `words` gives the values of a name.

    Raises Refused at a type that doesn't exist, which would be silence for ever.
    """
    types = {KINDS.get(word, word) for word in _split(words, "type")}
    if unknown := sorted(types - BY_TYPE.keys()):
        raise Refused(f"type: there is no {', '.join(unknown)[:200]}; there are {', '.join(sorted(KINDS))}")
    series = _split(words, "series")
    mails = frozenset(word.removeprefix("<").removesuffix(">") for word in series if not _is_number(word))
    return Filter(
        frozenset(types), _split(words, "project"), _split(words, "stream"), _split(words, "remote"),
        frozenset(str(int(word)) for word in series if _is_number(word)), mails, audience,
    )  # fmt: skip


def _split(words: Callable[[str], Sequence[str]], name: str) -> frozenset[str]:
    found = frozenset(word.strip() for text in words(name) for word in text.split(",") if word.strip())
    if len(found) > MOST:
        raise Refused(f"{name}: {MOST} are enough")
    return found


def _is_number(word: str) -> bool:
    return word.isascii() and word.isdigit() and len(word) <= 18
