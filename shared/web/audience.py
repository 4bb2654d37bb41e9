"""Which events a reader may see: the one place that says so, for the stream, pages, long polls and webhooks. Pure.

Without a token: what is public. With `events:read`: what its projects keep for themselves as well, and all that is
told of its own remote's runs, whoever else may see those. With `admin`: everything.
"""

from dataclasses import dataclass

from shared.model.tokens import Right, Token


@dataclass(frozen=True, slots=True)
class Audience:
    """A reader's rights. `projects` None: the events of all projects that are theirs alone."""

    all: bool = False
    projects: frozenset[str] | None = frozenset()
    remote: str = ""

    def sees(self, visibility: str, project: str, remote: str) -> bool:
        """Whether an event of this visibility and project, about a run of `remote` ("": about none), is for it."""
        if self.all or visibility == "public":
            return True
        if self.remote and remote == self.remote:
            return True
        return visibility == "project" and (self.projects is None or project in self.projects)


ANYBODY = Audience()
EVERYTHING = Audience(all=True, projects=None)


def audience_of(token: Token | None) -> Audience:
    """What the holder of `token` may see."""
    if token is None:
        return ANYBODY
    if token.admin:
        return EVERYTHING
    if not token.may(Right.EVENTS):
        return ANYBODY
    return Audience(projects=frozenset(token.projects) if token.projects else None, remote=token.remote)
