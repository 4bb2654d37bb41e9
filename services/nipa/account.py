"""What an import took, found there already, and could not take, each with its reason. Pure."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

EXAMPLES = 3
KINDS = ("branches", "runs", "results", "stability", "devices", "remotes", "settings", "filters", "files")


@dataclass
class Account:
    """Counts by kind; reasons with a few examples."""

    taken: Counter[str] = field(default_factory=Counter)
    there: Counter[str] = field(default_factory=Counter)
    left: Counter[tuple[str, str]] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)
    examples: dict[tuple[str, str], list[str]] = field(default_factory=dict)

    def leave(self, kind: str, why: str, example: str = "", count: int = 1) -> None:
        """Something of `kind` is not taken."""
        self.left[kind, why] += count
        shown = self.examples.setdefault((kind, why), [])
        if example and example not in shown and len(shown) < EXAMPLES:
            shown.append(example)

    def note(self, text: str) -> None:
        """Something was taken otherwise than it was written."""
        self.notes[text] += 1

    @property
    def barren(self) -> bool:
        """Whether there was something, and none of it could be taken."""
        return bool(self.left) and not (self.taken.total() or self.there.total() or self.notes)

    def as_json(self) -> Mapping[str, Any]:
        left = [
            {"kind": kind, "why": why, "count": count, "examples": self.examples[kind, why]}
            for (kind, why), count in sorted(self.left.items())
        ]
        return {"taken": dict(self.taken), "there": dict(self.there), "left": left, "notes": dict(self.notes)}

    def lines(self, dry: bool) -> list[str]:
        """For a terminal."""
        lines = [f"{'would take' if dry else 'taken':10}  {_counts(self.taken)}", f"there       {_counts(self.there)}"]
        for (kind, why), count in sorted(self.left.items()):
            shown = ", ".join(self.examples[kind, why])
            lines.append(f"not taken   {count} {kind}: {why}{f' ({shown})' if shown else ''}")
        return lines + [f"changed     {count} times: {text}" for text, count in self.notes.most_common(20)]


def _counts(counted: Counter[str]) -> str:
    return ", ".join(f"{counted[kind]:,} {kind}" for kind in KINDS if counted[kind]) or "nothing"
