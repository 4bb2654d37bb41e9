"""Who is killed when: one seed is one plan. Pure."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

ROOMS = ("ingest", "branch", "executor", "checks", "report")
DATABASE, BACKEND, BROKER, QUEUES = "database", "backend", "broker", "queues"


@dataclass(frozen=True, slots=True)
class Blow:
    """`victim` is hit `after` seconds and stays down for `down` seconds.

    With `upon` it is hit when the outside next sees it do something, and `after` seconds later: so between an act and
    the note that it was done. A room that is hit `whole` dies with all its children, as a container does; else its
    children see it die. `backend` is one process of the database, `queues` are all queues of the broker, deleted.
    """

    victim: str
    after: float
    down: float = 0.0
    whole: bool = False
    dice: int = 0
    upon: bool = False

    def __str__(self) -> str:
        how = f"{'whole ' if self.whole else ''}{'in the act ' if self.upon else ''}"
        return f"{self.victim} {how}after {self.after:.2f}s for {self.down:.1f}s"


Round = tuple[Blow, ...]


def plan(seed: int, rounds: int, *, broker: bool) -> list[Round]:
    """The blows of each round. In any ten rounds everything is hit at least once."""
    chance = random.Random(f"blows {seed}")
    bag = _bag(chance, broker)
    return [_round(chance, bag) for _ in range(rounds)]


def _bag(chance: random.Random, broker: bool) -> Iterator[str]:
    victims = [*ROOMS, "branch", DATABASE, BACKEND, *((BROKER, QUEUES) if broker else (DATABASE, "report"))]
    while True:
        yield from chance.sample(victims, len(victims))


def _round(chance: random.Random, bag: Iterator[str]) -> Round:
    first = next(bag)
    kind = chance.random()
    if kind < 0.1:
        # The machine itself: every room and the database at one moment.
        at = _moment(chance)
        others = [v for v in (*ROOMS, DATABASE) if v != first]
        return tuple(Blow(v, at, chance.uniform(0, 2), True, chance.randrange(99)) for v in (first, *others))
    more = [chance.choice([*ROOMS, DATABASE])] if kind < 0.35 else []
    return tuple(_blow(chance, victim) for victim in (first, *more))


def _blow(chance: random.Random, victim: str) -> Blow:
    after, down = _moment(chance), chance.choice((0.0, chance.uniform(0, 2)))
    whole, dice, upon = chance.random() < 0.5, chance.randrange(99), victim in ROOMS and chance.random() < 0.5
    return Blow(victim, chance.choice((0.0, 0.01, 0.05)) if upon else after, down, whole, dice, upon)


def _moment(chance: random.Random) -> float:
    """Most things happen in the first second after a mail or an order."""
    return round(chance.choice((chance.uniform(0, 1), chance.uniform(0, 4))), 2)
