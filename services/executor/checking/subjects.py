"""A series as checks look at it, put together from its mails and, once it is applied, its commits. Pure."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from services.executor.checks.base import NO_COMMIT, Patch, Subject
from shared.errors import Refused
from shared.formats.diff import changes
from shared.model.ids import Sha
from shared.model.mails import Mail


def subject_of(
    project: str, mails: Sequence[Mail], cover: Mail | None = None, *, base: Sha = NO_COMMIT,
    commits: Sequence[Sha] = (), **more: Any,
) -> Subject:  # fmt: skip
    """The subject of a question about the whole series. `mails` are its patches in their order, `commits` what they
    became, one of each; none before the series is applied. `more` are further fields of a Subject.

    Raises Refused if there are commits, but not one of each patch.
    """
    patches = tuple(Patch(number, mail, changes(mail.diff)) for number, mail in enumerate(mails, 1))
    title = (cover or mails[0]).subject.title
    subject = Subject(project, title, patches, cover=cover, base=base, **more)
    return applied(subject, base, commits) if commits else subject


def applied(subject: Subject, base: Sha, commits: Sequence[Sha]) -> Subject:
    """The same series on its base. Raises Refused unless there is a commit of each patch."""
    if len(commits) != len(subject.patches):
        raise Refused(f"{len(subject.patches)} patches became {len(commits)} commits")
    parents = (base, *commits)
    patches = tuple(
        replace(patch, commit=commit, parent=before)
        for patch, commit, before in zip(subject.patches, commits, parents, strict=False)
    )
    return replace(subject, patches=patches, base=base, head=commits[-1])
