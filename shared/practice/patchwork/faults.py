"""How the events of a practice Patchwork go wrong, as real ones were seen to: lost, doubled, late. Counted, not
random.

It decides about one event at a time and touches nothing else; faults of the wire are in `misbehave`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class EventFaults:
    lose: Counter[str] = field(default_factory=Counter)
    """By category, how many of the next events are never written (two last patches parsed at once)."""
    double: Counter[str] = field(default_factory=Counter)
    """By category, how many of the next events are written twice."""
    late_mails: int = 0
    """How many of the next mails stay in an open transaction: their events keep id and date, and are seen only
    after `release`.
    """

    def copies(self, category: str) -> int:
        """How often to write this event; uses up what it decides by."""
        for counts, copies in ((self.lose, 0), (self.double, 2)):
            if counts[category] > 0:
                counts[category] -= 1
                return copies
        return 1

    def next_mail_is_late(self) -> bool:
        late = self.late_mails > 0
        self.late_mails -= late
        return late
