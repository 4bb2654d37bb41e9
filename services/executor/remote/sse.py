"""An event stream read piece by piece, by the rules of HTML (server-sent events). Pure."""

from dataclasses import dataclass

LONGEST = 1 << 20
"""Bytes of one event; the server's stay far below."""


@dataclass(frozen=True, slots=True)
class Heard:
    """One event. `id` is the last id that was said, by it or before it."""

    id: str
    event: str
    data: str


class Parser:
    """Feed it what comes in. `last_id` is kept also of blocks without data, which are no events."""

    def __init__(self, last_id: str = "") -> None:
        self.last_id = last_id
        self._rest = b""
        self._event = ""
        self._data: list[str] = []

    def feed(self, data: bytes) -> list[Heard]:
        """The events that are whole by now. Raises ValueError at a line that never ends."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > LONGEST or sum(map(len, self._data)) > LONGEST:
            raise ValueError(f"an event of over {LONGEST} bytes")
        return [heard for line in lines if (heard := self._line(line.removesuffix(b"\r").decode("utf-8", "replace")))]

    def _line(self, line: str) -> Heard | None:
        if not line:
            return self._dispatch()
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "id" and "\0" not in value:
            self.last_id = value
        elif field == "event":
            self._event = value
        elif field == "data":
            self._data.append(value)
        return None

    def _dispatch(self) -> Heard | None:
        event, data = self._event or "message", "\n".join(self._data)
        said = bool(self._data)
        self._event, self._data = "", []
        return Heard(self.last_id, event, data) if said else None
