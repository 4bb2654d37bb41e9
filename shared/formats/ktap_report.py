"""What a KTAP log said, as frozen values: points with unique names, and the report that holds them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from shared.formats.clean import cut
from shared.formats.ktap_tree import NAME_BYTES, Node
from shared.model.results import Result


@dataclass(frozen=True, slots=True)
class Point:
    """One result of a log.

    `path` are the names from the outermost test down; `name` joins them with dots, fits 512 bytes of UTF-8
    and is unique in the report: a second ``a.b`` is ``a.b#2``. `directive` is upper case; `detail` the
    directive's text or what the cross-checks found. `said` is the log's own word, NOT_RUN if it has none.
    `line` counts from 1, 0 where no line stands for it.
    """

    path: tuple[str, ...]
    name: str
    number: int
    result: Result
    said: Result
    directive: str = ""
    detail: str = ""
    seconds: float | None = None
    line: int = 0
    leaf: bool = True

    @property
    def depth(self) -> int:
        return len(self.path) - 1


@dataclass(frozen=True, slots=True)
class Report:
    """All that a log said. Parents stand before their children.

    `skip` is the reason of a bare ``1..0 # SKIP`` at the top (may be empty), None without one. `started`
    names the test that had begun and got no result when the log ended: the suspect if the machine died.
    `faults` are disagreements in words; `unsound` is one that forbids to call the whole a pass. `seen` is
    whether there was any KTAP at all, `bail` the reason of the first ``Bail out!``.
    """

    points: tuple[Point, ...] = ()
    skip: str | None = None
    started: str = ""
    faults: tuple[str, ...] = ()
    unsound: str = ""
    seen: bool = False
    bail: str = ""


def flatten(nodes: Iterable[Node]) -> Iterator[Point]:
    """The points of a tree, parents first, every dotted name cut to size and made unique."""
    seen: dict[str, int] = {}
    for node in nodes:
        yield from _points(node, (), "", seen)


def _points(node: Node, above: tuple[str, ...], dotted: str, seen: dict[str, int]) -> Iterator[Point]:
    own = f"{dotted}.{node.name}" if dotted else node.name
    name = unique(own, seen)
    last = node.name + name[len(own) :] if name.startswith(own) else name
    path = (*above, last)
    yield Point(
        path, name, node.number, node.result, node.said,
        node.directive, node.detail, node.seconds, node.line, not node.children,
    )  # fmt: skip
    for child in node.children:
        yield from _points(child, path, name, seen)


def unique(name: str, seen: dict[str, int]) -> str:
    """`name` cut to size, with ``#2``, ``#3`` … if it is in `seen`, which remembers the last number tried."""
    name = cut(name, NAME_BYTES)
    if name not in seen:
        seen[name] = 1
        return name
    count = seen[name] + 1
    while (other := f"{cut(name, NAME_BYTES - 8)}#{count}") in seen:
        count += 1
    seen[name] = count
    seen[other] = 1
    return other
