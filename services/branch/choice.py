"""In which order a series' candidate trees are tried, and why. Pure: facts of git come in as arguments."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Choice:
    """One tree to try, and the rule and words that would settle the series there."""

    tree: str
    rule: str
    why: str


@dataclass(frozen=True, slots=True)
class Attempt:
    """One tree that was tried. `ok` says whether the whole series went on; `text` what happened."""

    tree: str
    rule: str
    ok: bool
    text: str
    head: str = ""

    def as_json(self) -> dict[str, object]:
        return {"tree": self.tree, "rule": self.rule, "ok": self.ok, "text": self.text, "head": self.head}


def choices(
    trees: Sequence[str],
    *,
    marked: bool,
    kinds: Mapping[str, str],
    fixes: Mapping[str, frozenset[str]],
) -> tuple[Choice, ...]:
    """The trees in the order to try them.

    `trees` are triage's candidates; with `marked` the subject names them and nothing else is considered. Else a
    tree of kind fixes comes first when every commit that the series says it fixes is in that tree's history, and
    last when some of them are not, because then the bug is not there. `fixes` maps each named commit to the trees
    that have it.
    """
    if marked:
        return tuple(Choice(tree, "marked", f"Clearly marked for {tree}") for tree in trees)
    first: list[Choice] = []
    middle: list[Choice] = []
    last: list[Choice] = []
    for tree in trees:
        guess = f"Guessed tree name to be {tree}: it"
        missing = [commit for commit, there in fixes.items() if tree not in there]
        if kinds.get(tree) != "fixes" or not fixes:
            middle.append(Choice(tree, "applies", f"{guess} applies there"))
        elif missing:
            why = f"{guess} applies, though {tree} does not have {_some(missing)}, which it fixes"
            last.append(Choice(tree, "applies", why))
        else:
            first.append(Choice(tree, "fixes", f"{guess} fixes {_some(list(fixes))}, which {tree} has"))
    return (*first, *middle, *last)


def _some(commits: Sequence[str]) -> str:
    shown = ", ".join(commits[:3])
    return f"{shown} and {len(commits) - 3} more" if len(commits) > 3 else shown


def settled_reason(choice: Choice, tried: Sequence[Attempt]) -> str:
    """Why the series is for this tree, with the trees that it did not apply to."""
    failed = [attempt.tree for attempt in tried if not attempt.ok]
    return f"{choice.why}, not to {', '.join(failed)}" if failed else choice.why
