"""The description that a script writes to a pipe, read while it runs."""

import asyncio
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from shared.formats.clean import plain

MOST = 8 << 20
"""Bytes that are kept. What is written beyond that is read and dropped, so that nobody waits."""
LINE = 250
"""Characters that stand on Patchwork."""
_AT_ONCE = 64 << 10
_PIPE = 1 << 20


class Description:
    """What came through the pipe. `text` is all of it, `line` what fits on Patchwork."""

    def __init__(self, heard: Callable[[str], None]) -> None:
        self._heard = heard
        self._kept = bytearray()
        self.dropped = 0

    @property
    def text(self) -> str:
        return self._kept.decode("utf-8", "replace")

    @property
    def line(self) -> str:
        """Lines become one, with single blanks and without control characters; what is too long is cut."""
        words = plain(" ".join(self._kept[: 16 * LINE].decode("utf-8", "replace").split()))
        return words if len(words) <= LINE else words[: LINE - 1].rstrip() + "…"

    @property
    def cut(self) -> bool:
        """Whether there is more than the line shows."""
        return self.dropped > 0 or len(self._kept) > 4 * LINE or self.line.endswith("…")

    @contextmanager
    def pipe(self) -> Iterator[int]:
        """The end to write to, for as long as the script runs. Whoever has it open still is not waited for: when
        the script has ended, what is in the pipe is taken and that is all.
        """
        reading, writing = os.pipe()
        os.set_blocking(reading, False)
        loop = asyncio.get_running_loop()
        loop.add_reader(reading, self._ready, reading)
        try:
            yield writing
        finally:
            loop.remove_reader(reading)
            os.close(writing)
            self._rest(reading)
            os.close(reading)

    def _ready(self, reading: int) -> None:
        """Some is there. Once a turn of the loop, so that a flood leaves others their turn."""
        before = self.line
        self._take(reading)
        if self.line != before:
            self._heard(self.line)

    def _rest(self, reading: int) -> None:
        """What is left when the script has ended: never more than a pipe holds, if somebody still writes."""
        for _ in range(_PIPE // _AT_ONCE):
            if not self._take(reading):
                return

    def _take(self, reading: int) -> bool:
        """Whether there was some."""
        try:
            piece = os.read(reading, _AT_ONCE)
        except BlockingIOError:
            return False
        room = MOST - len(self._kept)
        self._kept += piece[:room]
        self.dropped += max(0, len(piece) - room)
        return bool(piece)
