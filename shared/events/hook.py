"""What happens to webhooks themselves."""

from typing import ClassVar

from shared.events.base import Event, Visibility


class HookDisabled(Event):
    """A webhook is told nothing any more, for `reason`: it said that it is gone, or nothing could be delivered.

    For the operators, and for the remote whose webhook it is.
    """

    kind: ClassVar[str] = "hook.disabled"
    visibility: ClassVar[Visibility] = "operator"

    project: str = ""
    hook: str
    remote: str = ""
    reason: str

    def subject(self) -> str:
        return f"hook/{self.hook}"


class Ping(Event):
    """Sent to one webhook because somebody asked for it. It is not in the log, and `sequence` is empty."""

    kind: ClassVar[str] = "ping"

    project: str = ""
    hook: str
    text: str = "a ping: nothing happened"

    def subject(self) -> str:
        return f"hook/{self.hook}"
