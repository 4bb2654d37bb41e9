"""Which events a reader may see: the one place that says so, for the stream, pages, long polls and webhooks. Pure.

Without a token: what is public. With `events:read`: what its projects keep for themselves as well. With that or
`hooks:manage`: all that is told of its own remote's runs, whoever else may see those. With `admin`: everything.
"""

from dataclasses import dataclass

from shared.model.tokens import Right, Token


@dataclass(frozen=True, slots=True)
class Audience:
    """A reader's rights. `projects` None: the events of all projects that are theirs alone."""

    projects: frozenset[str] | None = frozenset()
    remote: str = ""
    all: bool = False

    def sees(self, visibility: str, project: str, remote: str) -> bool:
        """Whether an event of this visibility and project, about a run of `remote` ("": about none), is for it."""
        if self.all or visibility == "public":
            return True
        if self.remote and remote == self.remote:
            return True
        return visibility == "project" and (self.projects is None or project in self.projects)


ANYBODY = Audience()
EVERYTHING = Audience(None, all=True)


def audience_of(token: Token | None) -> Audience:
    """What the holder of `token` may see."""
    if token is None:
        return ANYBODY
    if token.admin:
        return EVERYTHING
    reads, hooks = token.may(Right.EVENTS), token.may(Right.HOOKS)
    projects = (frozenset(token.projects) or None) if reads else frozenset()
    return Audience(projects, token.remote if reads or hooks else "")
