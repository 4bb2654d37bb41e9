"""What a patch changed in what a build says: messages compared as multisets, positions left out. Pure.

What was said of a unit holds until the unit is built again. So what a tree says as a whole is what its base said,
overwritten unit by unit by what each patch had built again; nothing but that is ever built for a comparison.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace

from services.executor.builds.diagnostics import Diagnostic, Key, Log

Units = Mapping[str, tuple[Diagnostic, ...]]

_KCONFIG = re.compile(r"(^|/)Kconfig[^/]*$|^arch/[^/]+/configs/|^kernel/configs/")
_SOURCES = (".c", ".S", ".rs", ".dts", ".cpp")


@dataclass(frozen=True, slots=True)
class Standing:
    """What a tree's build says as a whole. `built`: make was content. `products`: files that git would not ignore.

    `hidden` is what units that fail, and so do not say all, said when they did not yet.
    """

    units: Units = field(default_factory=dict)
    built: bool = True
    hidden: Units = field(default_factory=dict)
    products: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Change:
    """What a patch does to files: paths of both sides. `renamed`: old path to new one."""

    touched: frozenset[str] = frozenset()
    added: frozenset[str] = frozenset()
    deleted: frozenset[str] = frozenset()
    renamed: Mapping[str, str] = field(default_factory=dict)

    @property
    def configures(self) -> bool:
        """Whether a configuration may come out otherwise."""
        return any(_KCONFIG.search(path) for path in self.touched)


@dataclass(frozen=True, slots=True)
class Found:
    """A message of the patched tree, and in how many units it stands (a header's may stand in hundreds)."""

    diagnostic: Diagnostic
    units: int = 1


@dataclass(frozen=True, slots=True)
class Comparison:
    """`before` and `after` count the messages of what was built again, as it was and as it is. `new` were added,
    `old` stood there. `built` is this tree, `parent_built` the one before, `base_built` the base. `rebuilt` counts
    units. `untracked` and `untracked_before` are products that git would not ignore; `fresh` are those added.

    `said` is "" or the limit that ended the build, in words; then the rest says nothing. `lacking` are symbols of
    the configuration that did not come to stand as asked.
    """

    before: int = 0
    after: int = 0
    new: tuple[Found, ...] = ()
    old: tuple[Found, ...] = ()
    built: bool = True
    parent_built: bool = True
    base_built: bool = True
    rebuilt: int = 0
    untracked_before: int = 0
    untracked: int = 0
    fresh: tuple[str, ...] = ()
    said: str = ""
    timed_out: bool = False
    lacking: tuple[str, ...] = ()
    log: str = ""
    notes: tuple[str, ...] = ()

    @property
    def breaks(self) -> bool:
        """It does not build, though the base does."""
        return not self.built and self.base_built


def stand(before: Standing, log: Log, built: bool, products: Collection[str], change: Change) -> Standing:
    """What the tree says after a build that printed `log`, if it said `before` until then."""
    units = {
        unit: _still(said, change, built)
        for unit, said in before.units.items()
        if unit and unit not in log.units and not _gone(unit, change)
    }
    return Standing(units | dict(log.units), built, _hidden(before, log, change), frozenset(products))


def _hidden(before: Standing, log: Log, change: Change) -> Units:
    kept = {u: said for u, said in before.hidden.items() if u not in log.units and not _gone(u, change)}
    return kept | {u: before.hidden.get(u) or before.units.get(u, ()) for u in log.failed if u in log.units}


def _gone(unit: str, change: Change) -> bool:
    return any(unit + suffix in change.deleted for suffix in _SOURCES)


def _still(said: tuple[Diagnostic, ...], change: Change, built: bool) -> tuple[Diagnostic, ...]:
    """Of a unit that was not built again after an error, what it said of files that have changed is no news."""
    return said if built else tuple(one for one in said if one.path not in change.touched)


def compare(base: Standing, parent: Standing, now: Standing, log: Log, change: Change) -> Comparison:
    """What `now` says that `parent` did not, where `log` is of the build between them."""
    was = moved(parent, change.renamed)
    known = set(was.units)
    shown = {unit: was.units.get(unit, ()) + was.hidden.get(unit, ()) for unit in {**was.units, **was.hidden}}
    heard = {u: said for u, said in now.units.items() if _comparable(u, known, base, change)}
    had, has = _positions(shown), _positions(heard)
    again = {unit: was.units.get(unit, ()) for unit in log.units}
    rebuilt = {unit: heard.get(unit, ()) for unit in log.units}
    extra = Counter({key: len(places) for key, places in has.items()})
    extra.subtract({key: len(places) for key, places in had.items()})
    fresh = now.products - was.products
    return Comparison(
        before=_count(again),
        after=_count(rebuilt),
        new=tuple(_new(has, had, extra)),
        old=tuple(_old(_positions(rebuilt), extra)),
        built=now.built,
        parent_built=parent.built,
        base_built=base.built,
        rebuilt=sum(1 for unit in log.units if unit),
        untracked_before=len(was.products),
        untracked=len(now.products),
        fresh=tuple(sorted(fresh)),
    )


def _comparable(unit: str, known: Collection[str], base: Standing, change: Change) -> bool:
    """A broken base never came to some units. What is said of these was there, for all that one knows, unless the
    patch brings or changes the unit's own file.
    """
    if base.built or unit in known:
        return True
    return any(unit + suffix in change.touched for suffix in _SOURCES)


def moved(standing: Standing, renamed: Mapping[str, str]) -> Standing:
    """The same, with files under their new names."""
    if not renamed:
        return standing
    units, hidden = (
        {_renamed_unit(unit, renamed): tuple(_renamed(said, renamed)) for unit, said in some.items()}
        for some in (standing.units, standing.hidden)
    )
    return replace(standing, units=units, hidden=hidden)


def _renamed_unit(unit: str, renamed: Mapping[str, str]) -> str:
    for suffix in _SOURCES:
        if new := renamed.get(unit + suffix):
            return new.rsplit(".", 1)[0]
    return unit


def _renamed(said: Iterable[Diagnostic], renamed: Mapping[str, str]) -> Iterable[Diagnostic]:
    return (replace(one, path=renamed.get(one.path, one.path)) for one in said)


# One message of a header stands in each unit that includes it: it counts once for each place in the header.

Place = tuple[int, int] | str
Places = dict[Key, dict[Place, dict[str, Diagnostic]]]


def _positions(units: Units) -> Places:
    found: Places = {}
    for unit, said in units.items():
        for one in said:
            place: Place = unit if one.line is None else (one.line, one.column or 0)
            found.setdefault(one.key, {}).setdefault(place, {}).setdefault(unit, one)
    return found


def _count(units: Units) -> int:
    return sum(len(places) for places in _positions(units).values())


def _new(has: Places, had: Places, extra: Mapping[Key, int]) -> Iterable[Found]:
    """Of each message as many as there are more now; those at places that had it before come last."""
    for key, places in has.items():
        if extra[key] > 0:
            order = sorted(places, key=lambda place: (place in had.get(key, {}), str(place).zfill(12)))
            for place in order[: extra[key]]:
                yield _found(places[place])


def _old(has: Places, extra: Mapping[Key, int]) -> Iterable[Found]:
    for key, places in has.items():
        for place in list(places)[: len(places) - max(0, extra[key])]:
            yield _found(places[place])


def _found(units: Mapping[str, Diagnostic]) -> Found:
    return Found(next(iter(units.values())), len(units))
