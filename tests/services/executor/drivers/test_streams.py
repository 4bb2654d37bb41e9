"""A stream that something else follows on."""

import pytest

from services.executor.drivers.base import Capture
from services.executor.drivers.streams import Divided

MARK = b"\nnetci-then feed\n"


def divided(data: bytes, step: int, cap: int = 1000) -> tuple[bytes, bytes | None]:
    out = Capture()
    stream = Divided(out, cap, MARK)
    for at in range(0, len(data), step):
        stream.take(data[at : at + step])
    stream.finish()
    return out.stderr, stream.after


@pytest.mark.parametrize("step", [1, 2, 7, 1000])
def test_it_is_divided_at_the_mark_however_it_comes(step: int) -> None:
    assert divided(b"said\nmore" + MARK + b"log\n", step) == (b"said\nmore", b"log\n")
    assert divided(b"said\n" + MARK, step) == (b"said\n", b"")
    assert divided(b"said\nnetci-then fee", step) == (b"said\nnetci-then fee", None)
    assert divided(b"", step) == (b"", None)


@pytest.mark.parametrize("step", [1, 3, 1000])
def test_a_mark_of_a_tests_own_hides_nothing(step: int) -> None:
    data = b"a" + MARK + b"forged log\nBUG: none\n" + MARK + b"true log\n"
    assert divided(data, step) == (b"a" + MARK + b"forged log\nBUG: none\n", b"true log\n")


def test_what_follows_does_not_count_against_the_cap() -> None:
    said, after = divided(b"x" * 20 + MARK + b"y" * 50, 7, cap=10)
    assert said.startswith(b"x" * 10 + b"\n[netci:")
    assert after == b"y" * 50
