"""What a script writes to its descriptor: read while it runs, bounded, never waited for."""

import asyncio
import os

import pytest

from services.executor.scripts.description import LINE, MOST, Description


async def test_it_is_heard_while_the_script_runs() -> None:
    heard: list[str] = []
    news = asyncio.Event()

    def hear(text: str) -> None:
        heard.append(text)
        news.set()

    description = Description(hear)
    with description.pipe() as writing:
        os.write(writing, b"Building\n")
        await news.wait()
        os.write(writing, b" \x1b[31mdone\n\n")
    assert heard == ["Building"]
    assert description.line == "Building done"
    assert not description.cut


async def test_whoever_keeps_it_open_is_not_waited_for() -> None:
    description = Description(lambda _: None)
    with description.pipe() as writing:
        kept = os.dup(writing)
        os.write(writing, b"said")
    assert description.line == "said"
    with pytest.raises(BrokenPipeError):
        os.write(kept, b"more")
    os.close(kept)


async def test_a_flood_is_read_to_its_end_and_kept_within_bounds() -> None:
    description = Description(lambda _: None)
    with description.pipe() as writing:
        await asyncio.to_thread(_write, writing, b"x" * (MOST + 5000))
    assert (len(description.text), description.dropped, description.cut) == (MOST, 5000, True)
    assert description.line == "x" * (LINE - 1) + "…"


def _write(writing: int, data: bytes) -> None:
    while data:
        data = data[os.write(writing, data) :]


async def test_what_is_no_text_is_replaced() -> None:
    description = Description(lambda _: None)
    with description.pipe() as writing:
        os.write(writing, b"caf\xc3\xa9 \xff")
    assert description.line == "café �"
