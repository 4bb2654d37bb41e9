"""What happens to trees and test branches."""

from typing import ClassVar

from pydantic import AwareDatetime

from shared.events.base import Event, Visibility
from shared.model.results import Purpose


def visibility_of(purpose: Purpose) -> Visibility:
    """Who may know of a branch that is cut for this, and of what is run on it: of a try, only its owner."""
    return "operator" if purpose is Purpose.TRY else "public"


class TreeMoved(Event):
    """A fetched head changed."""

    kind: ClassVar[str] = "tree.moved"

    tree: str
    head: str
    before: str = ""

    def subject(self) -> str:
        return f"tree/{self.tree}"


class BranchCut(Event):
    """A test branch is at the remote: `commit`, under the name `branch`, in the repository `public_url`."""

    kind: ClassVar[str] = "branch.cut"

    cut: int
    stream: str
    branch: str
    commit: str
    base: str
    purpose: Purpose
    slot: AwareDatetime
    public_url: str
    taken: int
    left_out: int

    def subject(self) -> str:
        return f"branch/{self.branch}"
