"""Whether whoever wrote a patch signed it off; in a pull request, whoever committed it, too.

The committer of a patch that came by mail is this machine, which signs nothing off: there is no question of that.
"""

import re
from dataclasses import dataclass

from services.executor.checks.base import Desk, Finding, OurCheck, Patch, Said, Subject, fail, success, warning
from shared.formats.mailmap import Mailmap, mailmap
from shared.formats.mbox import parse_person
from shared.formats.trailers import message_of
from shared.model.mails import Person

_SIGNED = re.compile(r"^[ \t]*Signed-off-by:[ \t]*(\S.*)$", re.I | re.M)
_MOST_COMMITS = 500
_SHA = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_FORMAT = "--format=%H%x00%s%x00%an <%ae>%x00%cn <%ce>%x00%B"
_FIELDS = 5


@dataclass(frozen=True, slots=True)
class Signed:
    """Who must have signed what off, by role."""

    title: str
    message: str
    people: dict[str, Person]


class VerifySignedoff(OurCheck):
    name = "verify_signedoff"
    help = "author and committer have signed the patch off"
    pulls = True

    async def ask(self, subject: Subject, desk: Desk) -> Said:
        assert subject.patch is not None
        known = mailmap((await desk.read(subject.base, ".mailmap") or b"").decode("utf-8", "replace"))
        repeat = "git log -1 --format='%an <%ae>%n%cn <%ce>%n%(trailers:key=Signed-off-by)'"
        if subject.pull:
            try:
                found = await _pulled(subject.patch, desk)
            except ValueError as exc:
                return fail(f"Commits cannot be told apart: {exc}")
            repeat = f"{repeat.replace('-1', '--no-merges')} {subject.patch.parent}..{subject.patch.commit}"
        else:
            found = [of_mail(subject.patch)]
            repeat = f"{repeat} HEAD"
        return said(found, known, repeat)


def of_mail(patch: Patch) -> Signed:
    return Signed(patch.mail.subject.title, message_of(patch.mail.body), {"author": patch.mail.author})


async def _pulled(patch: Patch, desk: Desk) -> list[Signed]:
    count = f"--max-count={_MOST_COMMITS + 1}"
    log = await desk.ask_git("log", "-z", "--no-merges", count, _FORMAT, f"{patch.parent}..{patch.commit}")
    return of_log(log)


def of_log(log: str) -> list[Signed]:
    """What ``git log -z`` says in our format: a NUL ends each field, and there is none in a commit.

    Raises ValueError for anything else.
    """
    *fields, rest = log.split("\0")
    if rest or len(fields) % _FIELDS:
        raise ValueError("a record of git log is not whole")
    found = []
    for at in range(0, len(fields), _FIELDS):
        sha, title, author, committer, message = fields[at : at + _FIELDS]
        if not _SHA.fullmatch(sha):
            raise ValueError("a record of git log begins with no commit")
        people = {"author": parse_person(author), "committer": parse_person(committer)}
        found.append(Signed(f'{sha[:12]} ("{title}")', message, people))
    return found


def said(commits: list[Signed], known: Mailmap, repeat: str) -> Said:
    """Every role that is missing anywhere, and how often if there were several commits. What was not looked at is not
    well.
    """
    if not commits:
        return warning("No commits to look at", repeat=repeat)
    commits, left = commits[:_MOST_COMMITS], commits[_MOST_COMMITS:]
    findings = [
        Finding(f"{role} Signed-off-by missing: {person} in {one.title}", level="error")
        for one in commits
        for role, person in one.people.items()
        if not _signs(person, one.message, known)
    ]
    if not findings and left:
        return warning(f"More than {_MOST_COMMITS} commits, the rest was not looked at", repeat=repeat)
    if not findings:
        return success("Signed-off-by tag matches author and committer", repeat=repeat)
    roles = dict.fromkeys(finding.text.partition(":")[0] for finding in findings)
    bad = sum(not all(_signs(p, one.message, known) for p in one.people.values()) for one in commits)
    many = f" in {bad} of {len(commits)} commits" if len(commits) > 1 else ""
    return fail("; ".join(roles) + many, findings=tuple(findings), repeat=repeat, log=_log(commits))


def _signs(person: Person, message: str, known: Mailmap) -> bool:
    """By address or by name, as given or as the map has it."""
    names = {person.name.lower(), known.known(person).name.lower()} - {""}
    for line in _SIGNED.findall(message):
        signer = parse_person(line.strip())
        if known.same(person, signer) or names & {signer.name.lower(), known.known(signer).name.lower()}:
            return True
    return False


def _log(commits: list[Signed]) -> str:
    lines = []
    for one in commits:
        lines.append(one.title)
        lines += [f"    {role}: {person}" for role, person in one.people.items()]
        lines += [f"    Signed-off-by: {line.strip()}" for line in _SIGNED.findall(one.message)]
    return "\n".join(lines) + "\n"
