"""The end of the log in memory."""

from shared.web.frames import Frame
from shared.web.recent import Recent
from shared.web.wanted import Facts


def frames(*numbers: int) -> list[Frame]:
    return [Frame(n, Facts("t", "p", "public"), b"x" * 10) for n in numbers]


def numbers(found: object) -> list[int] | None:
    assert found is None or isinstance(found, list)
    return None if found is None else [frame.sequence for frame in found]


def test_it_gives_what_follows_and_knows_where_it_begins() -> None:
    recent = Recent(1000)
    recent.begin(4)
    recent.add(frames(5, 6, 8))
    assert numbers(recent.after(4, 100)) == [5, 6, 8]
    assert numbers(recent.after(6, 100)) == [8]
    assert numbers(recent.after(7, 100)) == [8]
    assert numbers(recent.after(8, 100)) == []
    assert recent.after(3, 100) is None


def test_a_part_is_cut_by_size_and_never_empty() -> None:
    recent = Recent(1000)
    recent.add(frames(1, 2, 3, 4))
    assert numbers(recent.after(0, 15)) == [1, 2]
    assert numbers(recent.after(2, 1)) == [3]


def test_the_oldest_are_let_go_and_missed() -> None:
    recent = Recent(100)
    recent.add(frames(*range(1, 12)))
    assert recent.floor == 4
    assert recent.after(3, 1000) is None
    assert numbers(recent.after(4, 1000)) == [5, 6, 7, 8, 9, 10, 11]
