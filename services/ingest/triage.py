"""Which trees a series may be for, and why: by the tags of its subjects, else by the files it touches.

A settled decision names its rule and says its reason in words for a maintainer; both are shown on the series' page.
Which of several candidate trees it is, git finds out by applying; that is the branch room's. Pure.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

from services.ingest.assemble import Assembled
from shared.settings import Tree, Triage


@dataclass(frozen=True, slots=True)
class Decision:
    """Candidate `trees`, the likeliest first; none: not ours. `marked` is true where the author named them."""

    trees: tuple[str, ...]
    rule: str
    reason: str
    marked: bool = False


class Locality(IntEnum):
    """How far a patch is ours: no file of ours, ours among those of others, or ours alone."""

    FOREIGN = 0
    MIXED = 1
    OURS = 2


def triage(series: Assembled, rules: Triage, trees: Mapping[str, Tree]) -> Decision:
    """Decide by the first rule that says something: ignored subject, pull request, tags, paths."""
    return (
        _ignored(series, rules) or _pulled(series, trees) or _marked(series, trees) or _by_paths(series, rules, trees)
    )


def _ignored(series: Assembled, rules: Triage) -> Decision | None:
    titles = [series.title] if series.cover_message_id else []
    for word in rules.ignore_subjects:
        patches = [patch.title for patch in series.patches]
        if any(_begins(t, word) for t in titles) or (patches and all(_begins(t, word) for t in patches)):
            return Decision((), f"ignore_subjects: {word}", f"Series ignored based on subject ({word}:)")
    return None


def _begins(title: str, word: str) -> bool:
    """Whether `title` is of the part ``word:``, as ``can: isotp: x`` is of can, but not ``cancel: x``."""
    return title.lower().startswith(f"{word.lower().removesuffix(':')}:")


def _pulled(series: Assembled, trees: Mapping[str, Tree]) -> Decision | None:
    """A pull request goes where its subject says; ``next`` in it means the trees for the next release."""
    if series.pull is None:
        return None
    if named := _named(series, trees):
        return Decision(named, "pull", f"Pull request for {named[0]}", True)
    words = series.subject.lower().replace("/", " ").split()
    wanted = "next" if any(word == "next" or word.endswith("-next") for word in words) else "fixes"
    found = tuple(name for name, tree in trees.items() if tree.kind == wanted) or tuple(trees)
    return Decision(found, "pull", f"Pull request for {found[0]}" if found else "No tree is configured")


def _named(series: Assembled, trees: Mapping[str, Tree]) -> tuple[str, ...]:
    by_tag = {tag.lower(): name for name, tree in trees.items() for tag in (*tree.tags, name)}
    return tuple(dict.fromkeys(by_tag[tag] for tag in series.tags if tag in by_tag))


def foreign_marks(series: Assembled, trees: Mapping[str, Tree]) -> tuple[str, ...]:
    """Tags that name trees of others: ``bpf-next`` where only net and net-next are configured."""
    ours = {tag.lower() for name, tree in trees.items() for tag in (*tree.tags, name)}
    return tuple(tag for tag in series.tags if tag.endswith("-next") and tag not in ours)


def _marked(series: Assembled, trees: Mapping[str, Tree]) -> Decision | None:
    """Tags are whole words: ``ethernet`` does not name net. Beside a tree of others, as in ``bpf-next/net``, ours
    says nothing and the paths decide."""
    named = _named(series, trees)
    if not named or foreign_marks(series, trees):
        return None
    return Decision(named, f"tag: {named[0]}", f"Clearly marked for {' or '.join(named)}", True)


def _by_paths(series: Assembled, rules: Triage, trees: Mapping[str, Tree]) -> Decision:
    foreign = foreign_marks(series, trees)
    beside = f", though marked for {foreign[0]}" if foreign else ""
    if rules.ours:
        local = [locality(patch.files, rules) for patch in series.patches]
        if (best := max(local, default=Locality.FOREIGN)) < Locality.OURS:
            return Decision((), "paths", _not_local(series, rules, best))
    order, why = _order(series, trees)
    return Decision(order, "paths" if rules.ours else "every series", f"Not marked{beside}; {why}")


def _not_local(series: Assembled, rules: Triage, best: Locality) -> str:
    if best is Locality.FOREIGN:
        return "Not a local patch"
    other = next(f for patch in series.patches for f in patch.files if _whose(f, rules) is Locality.FOREIGN)
    return f"Not a local patch: each patch also touches files of others, such as {other[:200]}"


def _order(series: Assembled, trees: Mapping[str, Tree]) -> tuple[tuple[str, ...], str]:
    first = "fixes" if any(patch.fixes for patch in series.patches) else "next"
    order = tuple(sorted(trees, key=lambda name: trees[name].kind != first))
    if not order:
        return (), "no tree is configured"
    if first == "fixes":
        return order, f"it has Fixes: lines, so {order[0]} is tried first"
    return order, f"without Fixes: lines {order[0]} is tried first"


def locality(files: Sequence[str], rules: Triage) -> Locality:
    """How far a patch with these files is ours."""
    whose = [_whose(file, rules) for file in files]
    if Locality.OURS not in whose:
        return Locality.FOREIGN
    return Locality.MIXED if Locality.FOREIGN in whose else Locality.OURS


def _whose(file: str, rules: Triage) -> Locality:
    """OURS for a file that makes a patch ours, MIXED for one that may come along, FOREIGN for all others."""
    if file.startswith(rules.not_):
        return Locality.FOREIGN
    if file.startswith(rules.ours):
        return Locality.OURS
    return Locality.MIXED if file.startswith(rules.also) else Locality.FOREIGN
