"""Which series replaces which. Nothing at Patchwork links v2 to v1, and v1 stays "new" there: this is our work.

A series replaces an older one of the same author if it is a later version (or a resend) and either has the same
title or was sent in reply to it. Order of arrival does not matter: a v1 that comes late is replaced at once. Pure.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from services.ingest.assemble import Assembled


@dataclass(frozen=True, slots=True)
class Known:
    """A series of the same author that we have. `messages` are the ids of its mails, `refs` those it answers.

    One that is not `sound` replaces nothing: it may hold the patches of two versions.
    """

    id: int
    version: int
    resend: bool
    likeness: str
    messages: frozenset[str]
    refs: frozenset[str] = frozenset()
    sound: bool = True


@dataclass(frozen=True, slots=True)
class Ruling:
    """`replaces` are replaced by the new series; `replaced_by` is the newest that replaces it, or None."""

    replaces: tuple[Known, ...] = ()
    replaced_by: Known | None = None


def rule(new: Assembled, others: Iterable[Known]) -> Ruling:
    """Compare `new` with the author's other series."""
    related = [other for other in others if _related(new, other)]
    newer = [other for other in related if other.sound and _rank(other) > _rank(new)]
    older = [other for other in related if not new.fault and _rank(other) < _rank(new)]
    return Ruling(_by_rank(older), _by_rank(newer)[-1] if newer else None)


def _by_rank(series: Sequence[Known]) -> tuple[Known, ...]:
    return tuple(sorted(series, key=lambda other: (_rank(other), other.id)))


def _rank(series: Known | Assembled) -> tuple[int, bool]:
    return (series.version, series.resend)


def _related(new: Assembled, other: Known) -> bool:
    if new.likeness and new.likeness == other.likeness:
        return True
    mine = {new.message_id, *(patch.message_id for patch in new.patches)}
    return bool(other.messages.intersection(new.refs) or mine & other.refs)
