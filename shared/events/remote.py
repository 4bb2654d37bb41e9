"""What its owner should know of a remote. Staged by report, which looks at all of them again and again."""

from typing import ClassVar, Literal

from shared.events.base import Event, Visibility


class RemoteChanged(Event):
    """A remote, or one of its executors on a stream, is late or silent, is well again, or had submissions rejected.

    `what` rejected comes at most once a minute; `count` is how many since the last. Why, its owner reads under
    `/api/v1/remotes/<name>`.
    """

    kind: ClassVar[str] = "remote.changed"
    visibility: ClassVar[Visibility] = "project"

    remote: str
    executor: str = ""
    stream: str = ""
    what: Literal["late", "silent", "recovered", "rejected"]
    branch: str = ""
    count: int = 0
    text: str = ""

    def subject(self) -> str:
        return f"remote/{self.remote}"
