"""Which checks are asked about a series, of which patches, in which order, and what is not asked and why. Pure."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

from services.executor.checking.sink import Task
from services.executor.checks.base import NO_COMMIT, Check, Level, Needs, Said, Subject, success
from shared.model.ids import Sha

UNTOUCHED = "No files it looks at"
NO_PULLS = "it is not asked about pull requests"
AS_ONE = "the pull request is looked at as a whole, with patch 1"
LANES = tuple(Needs)


@dataclass(frozen=True, slots=True)
class Ask:
    """One question to be put: the check, and what it is to look at."""

    task: Task
    check: Check
    subject: Subject


@dataclass(frozen=True, slots=True)
class Batch:
    """Asks that may be put at one time: the same commit ("" for mails alone) and the same lane."""

    lane: Needs
    commit: Sha
    asks: tuple[Ask, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done for a series: `batches` in their order; `passed` have their answer without being asked;
    `unasked` are not asked, each with the reason.
    """

    batches: tuple[Batch, ...] = ()
    passed: tuple[tuple[Task, Said], ...] = ()
    unasked: tuple[tuple[Task, str], ...] = ()

    @property
    def asks(self) -> tuple[Ask, ...]:
        return tuple(ask for batch in self.batches for ask in batch.asks)

    @property
    def tasks(self) -> tuple[Task, ...]:
        """Every task that will have an answer, in order."""
        return (*(task for task, _ in self.passed), *(ask.task for ask in self.asks))

    def lane(self, *lanes: Needs) -> "Plan":
        """The part of it in these lanes. What passes unasked, or is not asked at all, belongs to the first lane."""
        batches = tuple(batch for batch in self.batches if batch.lane in lanes)
        return Plan(batches, self.passed, self.unasked) if LANES[0] in lanes else Plan(batches)


def plan(
    checks: Sequence[Check], subject: Subject, *, answered: Collection[Task] = (), lanes: Collection[Needs] = LANES
) -> Plan:
    """The plan of a series, without the tasks that are `answered` already.

    Lanes go from cheap to costly. In a lane that needs the tree, patches go in their order, so that the work tree
    moves along, and questions about the whole series come with the last patch, which is the head. Only checks of
    `lanes` are planned at all, their passed and unasked tasks included.
    """
    wanted = [check for check in checks if check.needs in lanes]
    asks: list[Ask] = []
    passed: list[tuple[Task, Said]] = []
    unasked: list[tuple[Task, str]] = []
    for check in wanted:
        for ask in _asks(check, subject):
            if ask.task in answered:
                continue
            if why := _not_asked(check, subject):
                unasked.append((ask.task, why))
            elif check.wants and not ask.subject.touches(check.wants):
                passed.append((ask.task, success(UNTOUCHED)))
            else:
                asks.append(ask)
        unasked += [(task, AS_ONE) for task in _beside(check, subject) if task not in answered]
    return Plan(tuple(_batches(asks)), tuple(passed), tuple(unasked))


def _asks(check: Check, subject: Subject) -> Iterator[Ask]:
    """One ask of the series, or one of each patch; a pull request counts as one patch."""
    if check.level is Level.SERIES:
        yield Ask(Task(check.name), check, replace(subject, patch=None))
        return
    for patch in subject.patches[:1] if subject.pull else subject.patches:
        yield Ask(Task(check.name, patch.number), check, replace(subject, patch=patch))


def _beside(check: Check, subject: Subject) -> list[Task]:
    """The patches for which the first one's answer stands, so that nobody waits for theirs."""
    return [Task(check.name, number) for number in subject.beside] if check.level is Level.PATCH else []


def _not_asked(check: Check, subject: Subject) -> str:
    if subject.pull and not (check.pulls and check.level is Level.PATCH):
        return NO_PULLS
    return ""


def _batches(asks: Sequence[Ask]) -> Iterator[Batch]:
    for lane, place in sorted({(ask.check.needs, _place(ask)) for ask in asks}):
        some = tuple(ask for ask in asks if (ask.check.needs, _place(ask)) == (lane, place))
        yield Batch(lane, NO_COMMIT if lane is Needs.MAIL else _commit(some[0].subject), some)


def _place(ask: Ask) -> int:
    """Where in the series the work tree must be: the number of the patch from 0. Mails are all at hand at once."""
    if ask.check.needs is Needs.MAIL:
        return 0
    patches = ask.subject.patches
    return len(patches) - 1 if ask.subject.patch is None else patches.index(ask.subject.patch)


def _commit(subject: Subject) -> Sha:
    return subject.head if subject.patch is None else subject.patch.commit
