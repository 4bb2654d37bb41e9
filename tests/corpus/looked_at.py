"""What checks are asked about: a posted case, its mails applied as the branch room applies them."""

from services.executor.checks.base import Patch, Subject
from shared.formats.diff import changes
from shared.formats.mbox import parse_mail
from shared.git.apply import NotApplied, apply_series
from shared.git.store import Store
from shared.model.ids import Sha
from shared.model.mails import Person
from tests.corpus.case import Case
from tests.corpus.ground import NOW, Posted

US = Person("netci", "netci@localhost")
PULLED_FROM = "https://git.example.org/linux.git tags/for-you"


async def looked_at(case: Case, posted: Posted, store: Store) -> Subject:
    """The series as the checks see it, applied on its base."""
    commits = (posted.pulled,) if posted.pulled else await _applied(posted, store)
    parents = (posted.base,) if posted.pulled else (posted.base, *commits)
    mails = [parse_mail(raw) for raw in posted.mails]
    patches = tuple(
        Patch(number, mail, changes(mail.diff), commit, parent)
        for number, (mail, commit, parent) in enumerate(zip(mails, commits, parents, strict=False), 1)
    )
    cover = parse_mail(posted.cover) if posted.cover else None
    return Subject(
        "corpus", (cover or mails[0]).subject.title, patches, cover=cover, tree=case.tree, kind=case.kind,
        branch="main", base=posted.base, head=commits[-1], marked=case.marked, mark_expected=case.mark_expected,
        pull=PULLED_FROM if posted.pulled else "", cover_pull=case.cover_pull,
    )  # fmt: skip


async def _applied(posted: Posted, store: Store) -> tuple[Sha, ...]:
    applied = await apply_series(store, posted.base, posted.mails, committer=US, now=NOW, validate=lambda _: "")
    if isinstance(applied, NotApplied):
        raise AssertionError(f"patch {applied.number} does not go on: {applied.reason}\n{applied.log}")
    return applied.commits
