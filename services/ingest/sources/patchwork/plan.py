"""What to ask Patchwork next, so that the fewest requests bring the most. Pure.

A page of series costs one request and holds everything that each series' own address would give.
"""

from collections.abc import Collection, Sequence

PAGE = 250
"""The most rows that Patchwork gives a page; a larger number is cut to it without notice."""
RECENT = 30
SERIES_A_LOOK_UP = 40
"""Series in one filter: the query stays well under 2 kB."""


def worth_listing(wanted: int) -> bool:
    """Whether `wanted` series are better had from lists than one by one."""
    return wanted >= 3


def page_size(wanted: int) -> int:
    return PAGE if wanted > RECENT else RECENT


def worth_another(hits: int, left: Collection[int], lowest: int) -> bool:
    """Whether to read on after a page that held `hits` of the wanted, with `left` to find below `lowest`.

    Old leftovers are spread thinly over many pages: two or fewer in a page, and asking for each is cheaper.
    """
    return hits > 2 and any(id_ < lowest for id_ in left)


def in_look_ups(series: Sequence[int]) -> list[Sequence[int]]:
    return [series[i : i + SERIES_A_LOOK_UP] for i in range(0, len(series), SERIES_A_LOOK_UP)]
