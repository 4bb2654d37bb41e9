"""Fifty megabytes of a console that means harm: in bounded memory, with work that is counted, not timed."""

import tracemalloc
from collections.abc import Callable, Iterator

import pytest

from shared.formats.oops import REPORTS, OopsReader
from shared.formats.oops_search import SEARCHES

MB = 1_000_000
CHUNK = 64 << 10
EACH = 10 * MB
MEMORY = 24 * MB
"""What the reader may have at any time, its reports with it."""


def new_callers() -> Iterator[bytes]:
    """Every line of another task, each the beginning of a report with a long stack that never comes."""
    number = 0
    while True:
        number += 1
        yield b"[    1.000000][%6b] BUG: KASAN: slab-use-after-free in f_%d+0x1/0x2\n" % (b"T%d" % number, number)


def one_report() -> Iterator[bytes]:
    """It begins and never ends; every line is a function of its own."""
    yield b"[    1.000000] BUG: KASAN: slab-use-after-free in f+0x1/0x2\n"
    number = 0
    while True:
        number += 1
        yield b"[    1.000000]  function_%d+0x1/0x2\n" % number


def guests() -> Iterator[bytes]:
    """A stall for which CPU after CPU speaks."""
    yield b"[    1.000000][    C0] rcu: INFO: rcu_preempt self-detected stall on CPU\n"
    number = 0
    while True:
        number += 1
        yield b"[    1.000000][%6b] NMI backtrace for cpu 1\n" % (b"C%d" % number)


def without_newline() -> Iterator[bytes]:
    """One line of all words, stamps and escapes, that does not end."""
    while True:
        yield b"[    1.000000] BUG: \x1b[31mKASAN: Comm: [ cut here ] INFO: task a:1 blocked ((((\xff\0"


def nearly() -> Iterator[bytes]:
    """Long lines that nearly are something, over and over, to lead expressions astray."""
    while True:
        yield b"BUG: KASAN: " + b"a " * 400 + b"\n"
        yield b"INFO: task " + b"a:1 " * 200 + b"\n"
        yield b"[    1.000000] " + b" " * 900 + b"BUG\n"
        yield b"ref_tracker: " + b"has 1/1 " * 100 + b"\n"
        yield b"Krnl PSW : " + b"0" * 900 + b" BUG\n"
        yield b" " + b"[<(____ptrval____)>] " * 40 + b"BUG\n"
        yield b"\x1b[" * 400 + b"BUG\n"


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("console", [new_callers, one_report, guests, without_newline, nearly])
def test_a_hostile_console_costs_bounded_memory_and_work(console: Callable[[], Iterator[bytes]]) -> None:
    reader, size, found = OopsReader(), 0, 0
    lines = console()
    tracemalloc.start()
    try:
        while size < EACH:
            chunk = bytearray()
            while len(chunk) < CHUNK:
                chunk += next(lines)
            found += len(reader.feed(bytes(chunk)))
            size += len(chunk)
        found += len(reader.end())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found <= REPORTS
    assert found + reader.dropped > 0 or console in (without_newline, nearly)
    assert peak < MEMORY
    assert reader.scanned <= SEARCHES * size
    assert reader.looked <= size
