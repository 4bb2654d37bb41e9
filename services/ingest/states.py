"""Comparing the queue of the source with what we believe of its patches: what changed, and what to ask about.

Silence means nothing: a patch that we hold open and the queue does not name may have been closed, archived or
deleted, or have slipped between two pages while they were read. It is asked about, with its whole series. Pure.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from services.ingest.sources.base import PatchState
from services.ingest.standing import PatchFact, Rules, Watched, is_open


@dataclass(frozen=True, slots=True)
class Findings:
    """`changed`: patches by our series; `missing`: the source's numbers of series to look up; `unknown`: of series
    that the queue names and we do not have, with the states of their patches."""

    changed: Mapping[int, Sequence[PatchState]]
    missing: Sequence[int]
    unknown: Mapping[int, Sequence[PatchState]]


def fact_of(state: PatchState) -> PatchFact:
    return PatchFact(state.state, state.delegate, state.archived)


def compare(watched: Iterable[Watched], queue: Sequence[PatchState], known: Collection[int], rules: Rules) -> Findings:
    """`known` are the source's numbers of the series that we have, among those that the queue names."""
    there = {state.external_id: state for state in queue}
    changed: dict[int, list[PatchState]] = {}
    missing: dict[int, None] = {}
    for patch in watched:
        state = there.get(patch.external_id)
        if state is None and is_open(patch.fact, rules):
            missing[patch.series_external_id] = None
        elif state is not None and fact_of(state) != patch.fact:
            changed.setdefault(patch.series, []).append(state)
    return Findings(changed, list(missing), _unknown(queue, known))


def _unknown(queue: Sequence[PatchState], known: Collection[int]) -> dict[int, list[PatchState]]:
    unknown: dict[int, list[PatchState]] = {}
    for state in queue:
        for series in state.series:
            if series not in known:
                unknown.setdefault(series, []).append(state)
    return unknown


def settled(watched: Iterable[Watched], found: Mapping[int, Sequence[PatchState]]) -> dict[int, list[PatchState]]:
    """What a look-up says of the watched patches that changed, by our series. One that is not in it is deleted."""
    changed: dict[int, list[PatchState]] = {}
    for patch in watched:
        if patch.series_external_id not in found:
            continue
        states = {state.external_id: state for state in found[patch.series_external_id]}
        state = states.get(patch.external_id) or PatchState(
            patch.external_id, (patch.series_external_id,), "deleted", patch.fact.delegate, patch.fact.archived
        )
        if fact_of(state) != patch.fact:
            changed.setdefault(patch.series, []).append(state)
    return changed
