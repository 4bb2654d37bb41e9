"""Events in the form of a stream: encoded once, joined once for all who want the same. Pure.

Wire form: https://html.spec.whatwg.org/multipage/server-sent-events.html; `id` is a cursor (shared/web/cursor.py),
`event` the CloudEvents type, `data` the CloudEvent. `event: gap` says that events before the next one are lost to
this reader and where the log begins.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shared.web.cursor import Cursor, Log
from shared.web.wanted import Facts, Filter

PIECE = 1 << 16
"""Bytes written to a reader at one time, before it is asked whether it keeps up."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One event, encoded. All readers share `wire`."""

    sequence: int
    facts: Facts
    wire: bytes

    @property
    def data(self) -> bytes:
        """The CloudEvent alone."""
        return self.wire.split(b"\ndata: ", 1)[1].rstrip(b"\n")


@dataclass(frozen=True, slots=True)
class Piece:
    """Some events, joined."""

    frames: Sequence[Frame]
    data: bytes

    @property
    def first(self) -> int:
        return self.frames[0].sequence

    @property
    def last(self) -> int:
        return self.frames[-1].sequence

    def after(self, sequence: int) -> bytes:
        """The part that a reader at `sequence` has not had."""
        if sequence < self.first:
            return self.data
        return b"".join(frame.wire for frame in self.frames if frame.sequence > sequence)


def frame_of(row: Mapping[str, Any], epoch: str) -> Frame:
    """From the statement `log_page`."""
    facts = Facts(
        row["type"], row["project"], row["visibility"], row["stream"], row["remote"], row["series"], row["message_id"]
    )
    return Frame(row["sequence"], facts, encode(row["sequence"], epoch, row["type"], row["body"]))


def encode(sequence: int, epoch: str, type: str, body: str) -> bytes:
    """An event as a frame; `body` is JSON on one line."""
    return f"id: {sequence}-{epoch}\nevent: {type}\ndata: {body}\n\n".encode()


def encode_gap(state: Log, asked: Cursor) -> bytes:
    """Says that the reader missed something; goes on from the oldest event kept."""
    data = json.dumps({"asked": str(asked), "oldest": state.begin + 1, "last": state.last, "epoch": state.epoch})
    return f"id: {Cursor(state.begin, state.epoch)}\nevent: gap\ndata: {data}\n\n".encode()


def encode_beat(at: Cursor) -> bytes:
    """A comment that proxies take for life, and an id, so that a reader of rare events does not fall behind."""
    return f":\nid: {at}\n\n".encode()


def choose(frames: Sequence[Frame], wanted: Filter) -> tuple[list[Frame], Filter]:
    """Those that are wanted, and the filter as it has learnt from them."""
    chosen = []
    for frame in frames:
        if wanted.wants(frame.facts):
            chosen.append(frame)
            wanted = wanted.learn(frame.facts)
    return chosen, wanted


def pieces(frames: Sequence[Frame], size: int = PIECE) -> Iterator[Piece]:
    """The frames in pieces of about `size` bytes."""
    part: list[Frame] = []
    length = 0
    for frame in frames:
        part.append(frame)
        length += len(frame.wire)
        if length >= size:
            yield Piece(part, b"".join(f.wire for f in part))
            part, length = [], 0
    if part:
        yield Piece(part, b"".join(f.wire for f in part))
