"""Which letters of a list are one series, and why. Pure, and the same whatever order they came in.

Nothing here looks at when a letter was delivered: lists deliver late, twice and in any order. Patches that count each
other in (``2/3`` of one version, one sender) are first joined by whom they answer, then by the family of their
Message-Ids, last by the time that they claim. What a letter is left out for is said.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from services.ingest.lists.letters import Kind, Letter

TOGETHER = timedelta(hours=1)
"""How far apart the Dates of patches may be that nothing else joins."""
LATE = timedelta(days=7)
"""How much later a patch may be sent alone that the list had lost."""


@dataclass(frozen=True, slots=True)
class Thread:
    """One series as far as it is there: its patches in order, and `why` they are one, in words.

    `left_out` are letters that would be in it, each with the reason why it is not. `waits` is the Message-Id of a
    mail that all patches answer and nobody has seen: likely the cover letter.
    """

    patches: tuple[Letter, ...]
    cover: Letter | None = None
    why: tuple[str, ...] = ()
    left_out: tuple[tuple[Letter, str], ...] = ()
    waits: str = ""

    @property
    def head(self) -> Letter:
        """The letter that names the series."""
        return self.cover or self.patches[0]

    @property
    def letters(self) -> tuple[Letter, ...]:
        return (self.cover, *self.patches) if self.cover else self.patches

    @property
    def total(self) -> int:
        """How many patches are announced."""
        return max(self.patches[0].total if self.patches else self.head.subject.total or 1, 1)

    @property
    def missing(self) -> tuple[int, ...]:
        """The numbers of the patches that are not there."""
        there = {patch.number for patch in self.patches}
        return tuple(number for number in range(1, self.total + 1) if number not in there)

    @property
    def complete(self) -> bool:
        return bool(self.patches) and not self.missing


@dataclass(slots=True)
class _Bunch:
    """Letters that belong together so far."""

    letters: list[Letter]
    why: list[str]

    @property
    def numbers(self) -> set[int]:
        return {one.number for one in self.letters}

    @property
    def first(self) -> Letter:
        return min(self.letters, key=lambda one: one.order)


def gather(letters: Iterable[Letter]) -> list[Thread]:
    """The series among `letters`, complete or not, in the order of their first letters' Dates and ids."""
    unique = {(one.message_id, one.digest): one for one in letters if one.kind is not Kind.TALK}
    counted: dict[tuple[int, bool, int], list[Letter]] = defaultdict(list)
    single = []
    for one in sorted(unique.values(), key=lambda one: one.order):
        if one.kind is Kind.COVER or (one.subject.total and one.kind is Kind.PATCH):
            counted[one.subject.version, one.subject.resend, one.total].append(one)
        else:
            single.append(one)
    found = [_single(alike) for alike in _by_id(single)]
    for alike in counted.values():
        found += [_thread(bunch) for bunch in _bunches(alike)]
    found = _adopt_covers(found)
    return sorted(found, key=lambda thread: thread.head.order)


def _by_id(letters: Sequence[Letter]) -> Iterator[list[Letter]]:
    by_id: dict[str, list[Letter]] = defaultdict(list)
    for one in letters:
        by_id[one.message_id].append(one)
    yield from by_id.values()


def _single(alike: Sequence[Letter]) -> Thread:
    """A patch or a pull request by itself; of several mails with one id the first counts."""
    what = "a pull request" if alike[0].kind is Kind.PULL else "one patch without others"
    twice = tuple((one, f"another mail with the Message-Id of {alike[0].subject.raw!r}") for one in alike[1:])
    return Thread((alike[0],), None, (what,), twice)


def _bunches(alike: Sequence[Letter]) -> list[_Bunch]:
    """Joined letters of one version and total."""
    return _fill_holes(_by_date(_by_parent(_by_family(_by_answers(alike)))))


def _by_answers(alike: Sequence[Letter]) -> list[_Bunch]:
    """Join each patch with the cover or the earlier patch that it answers, and those that answer one mail of others.

    A patch never joins one of its own number or later: that is an answer with another attempt.
    """
    by_id = {one.message_id: one for one in reversed(alike)}
    roots: dict[tuple[str, str], tuple[str, str]] = {}

    def root(key: tuple[str, str]) -> tuple[str, str]:
        while (up := roots.get(key, key)) != key:
            key = up
        return key

    reasons: dict[tuple[str, str], str] = {}
    siblings: dict[tuple[str, str, str], tuple[str, str]] = {}
    for one in alike:
        key = (one.message_id, one.digest)
        above = next((by_id[ref] for ref in (one.parent, *reversed(one.refs)) if ref in by_id), None)
        if one.kind is Kind.COVER:
            continue
        if above is not None and above.number < one.number:
            roots[root(key)] = root((above.message_id, above.digest))
            reasons[key] = "answers the cover letter" if above.number == 0 else "answers an earlier patch"
        elif above is None and one.parent:
            place = (one.parent, one.sender, one.family)
            roots[root(key)] = root(siblings.setdefault(place, key))
            reasons[key] = "answers the same mail as the others"
    bunches: dict[tuple[str, str], _Bunch] = {}
    for one in alike:
        key = (one.message_id, one.digest)
        bunch = bunches.setdefault(root(key), _Bunch([], []))
        bunch.letters.append(one)
        if (why := reasons.get(key)) and why not in bunch.why:
            bunch.why.append(why)
    return list(bunches.values())


def _by_family(bunches: Sequence[_Bunch]) -> list[_Bunch]:
    """Join bunches of one sender whose Message-Ids were counted by one ``git send-email``."""
    return _by_key(bunches, lambda one: one.family, "Message-Ids of one family")


def _by_parent(bunches: Sequence[_Bunch]) -> list[_Bunch]:
    """Join what answers one mail of others, whatever its ids look like."""
    return _by_key(bunches, lambda one: one.parent, "answers the same mail as the others")


def _by_key(bunches: Sequence[_Bunch], key_of: Callable[[Letter], str], why: str) -> list[_Bunch]:
    """Join bunches of one sender and key that lack each other's numbers. No key joins nothing."""
    found: list[_Bunch] = []
    homes: dict[tuple[str, str], _Bunch] = {}
    for bunch in sorted(bunches, key=lambda bunch: bunch.first.order):
        key = (bunch.first.sender, key_of(bunch.first))
        home = homes.get(key) if key[1] else None
        if home is None or home.numbers & bunch.numbers:
            homes[key] = bunch
            found.append(bunch)
            continue
        home.letters += bunch.letters
        if why not in home.why:
            home.why.append(why)
    return found


def _by_date(bunches: Sequence[_Bunch]) -> list[_Bunch]:
    """Join bunches of one sender that lack each other's numbers and claim nearly one time.

    Only letters that answer nobody: others say for themselves where they belong.
    """
    found: list[_Bunch] = []
    for bunch in sorted(bunches, key=lambda bunch: bunch.first.order):
        home = next((home for home in reversed(found) if _near(home, bunch, TOGETHER)), None)
        if home is None:
            found.append(bunch)
            continue
        home.letters += bunch.letters
        if (why := "sent without threads, at nearly one time") not in home.why:
            home.why.append(why)
    return found


def _near(home: _Bunch, other: _Bunch, most: timedelta) -> bool:
    if home.numbers & other.numbers or home.first.sender != other.first.sender:
        return False
    loose = all(not one.parent for bunch in (home, other) for one in bunch.letters if one.number != 0)
    return loose and abs(other.first.sent - home.first.sent) <= most


def _fill_holes(bunches: Sequence[_Bunch]) -> list[_Bunch]:
    """Put patches that were sent again alone where they are missing; those that are there already are left out."""
    whole = [bunch for bunch in bunches if len(bunch.letters) > 1]
    found = list(whole)
    for lone in sorted((b for b in bunches if len(b.letters) == 1), key=lambda bunch: bunch.first.order):
        one = lone.first
        if one.number == 0:
            found.append(lone)
            continue
        homes = [home for home in whole if _could_hold(home, one)]
        lacking = [home for home in homes if one.number not in home.numbers]
        again = [home for home in homes if any(x.number == one.number and x.change == one.change for x in home.letters)]
        if again:
            again[0].letters.append(one)
        elif len(lacking) == 1:
            lacking[0].letters.append(one)
            lacking[0].why.append(f"patch {one.number} was sent later, alone")
        else:
            found.append(lone)
    return found


def _could_hold(home: _Bunch, one: Letter) -> bool:
    """Whether a lone letter is of the same sender, near in time or answering into the series."""
    if home.first.sender != one.sender:
        return False
    ids = {x.message_id for x in home.letters}
    answers = (
        one.parent in ids or not ids.isdisjoint(one.refs) or any(x.parent == one.parent != "" for x in home.letters)
    )
    return answers or abs(one.sent - home.first.sent) <= LATE


def _thread(bunch: _Bunch) -> Thread:
    """One of each number: of a number that is there several times the first by Date counts."""
    kept: dict[int, Letter] = {}
    left: list[tuple[Letter, str]] = []
    for one in sorted(bunch.letters, key=lambda one: one.order):
        if (first := kept.get(one.number)) is None:
            kept[one.number] = one
        elif one.number == 0:
            left.append((one, "a second cover letter"))
        elif one.change == first.change:
            left.append((one, f"patch {one.number} sent again, unchanged"))
        else:
            left.append(
                (one, f"patch {one.number} sent again with other contents; a changed patch needs a new version")
            )
    cover = kept.pop(0, None)
    patches = tuple(kept[number] for number in sorted(kept))
    alone = len(patches) == 1 and patches[0].total == 1 and not cover
    why = tuple(bunch.why) or (("one patch without others",) if alone else ())
    return Thread(patches, cover, why, tuple(left), _waits(cover, patches))


def _waits(cover: Letter | None, patches: Sequence[Letter]) -> str:
    above = {patch.parent for patch in patches}
    own = {patch.message_id for patch in patches}
    if cover is not None or len(patches) < 2 or len(above) != 1 or above & own:
        return ""
    return above.pop()


def _adopt_covers(threads: Sequence[Thread]) -> list[Thread]:
    """A cover letter that counts wrongly (``0/3`` over four patches) is that of the patches that answer it."""
    alone = {thread.cover.message_id: thread for thread in threads if thread.cover and not thread.patches}
    taken: set[str] = set()
    found = []
    for thread in threads:
        over = alone.get(thread.waits)
        if over is not None and over.cover is not None and over.head.sender == thread.head.sender:
            taken.add(thread.waits)
            says = f"the cover letter counts {over.head.total} patches, they count {thread.total} themselves"
            found.append(Thread(thread.patches, over.cover, (*thread.why, says), thread.left_out))
        else:
            found.append(thread)
    return [thread for thread in found if not (thread.cover and not thread.patches and thread.head.message_id in taken)]
