"""Whether ``Fixes:`` tags name the commits that they mean: in the tree, by a form that tools read, by the right title.

A commit counts if it is an ancestor of what the patch goes on. What else lies about in this machine's store decides
nothing: an abbreviation is ambiguous if two ancestors begin so.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from services.executor.checks.base import Desk, Finding, OurCheck, Patch, Said, Subject, fail, success, warning
from shared.errors import Refused
from shared.formats.fixes_tag import FixesTag, fixes_tags, same_title
from shared.formats.trailers import message_of
from shared.model.ids import Sha

_MOST_COMMITS = 500
_MOST_TAGS = 50
_MOST_ALIKE = 16
_MOST_NAMED = 3


@dataclass(frozen=True, slots=True)
class Target:
    """What an abbreviated id stands for: `found` commits of the tree, else `elsewhere` ones. `sha` and `title` are of
    the only one.
    """

    found: int = 0
    elsewhere: int = 0
    sha: str = ""
    title: str = ""


class VerifyFixes(OurCheck):
    name = "verify_fixes"
    help = "Fixes: tags are well formed and name commits of the tree"
    pulls = True

    async def ask(self, subject: Subject, desk: Desk) -> Said:
        assert subject.patch is not None
        patch = subject.patch
        if not subject.pull:
            tags, at, more = fixes_tags(message_of(patch.mail.body)), patch.parent or subject.base, False
        else:
            (tags, more), at = await _pulled(patch, desk), patch.commit
        tags, left = tags[:_MOST_TAGS], tags[_MOST_TAGS:]
        cut = f"{_MOST_TAGS} Fixes tags" if left else f"{_MOST_COMMITS} commits" if more else ""
        return said(tags, {tag.sha: await _target(tag.sha, at, desk) for tag in tags if tag.sha}, cut)


async def _pulled(patch: Patch, desk: Desk) -> tuple[tuple[FixesTag, ...], bool]:
    """The tags of all commits that are looked at, and whether there are more commits."""
    log = await desk.ask_git(
        "log", "-z", "--no-merges", f"--max-count={_MOST_COMMITS + 1}", "--format=%B",
        f"{patch.parent}..{patch.commit}",
    )  # fmt: skip
    messages = log.split("\0")[:-1]
    tags = tuple(tag for message in messages[:_MOST_COMMITS] for tag in fixes_tags(message))
    return tags, len(messages) > _MOST_COMMITS


async def _target(sha: str, at: Sha, desk: Desk) -> Target:
    """Look for commits that begin with `sha`, hexadecimal digits, among the ancestors of `at`."""
    alike = (await desk.ask_git("rev-parse", f"--disambiguate={sha}")).split()[:_MOST_ALIKE]
    commits = [one for one in alike if (await desk.ask_git("cat-file", "-t", one)).strip() == "commit"]
    within = [one for one in commits if await _is_ancestor(one, at, desk)]
    if len(within) != 1:
        return Target(len(within), len(commits) - len(within))
    title = (await desk.ask_git("log", "--max-count=1", "--format=%s", within[0])).strip("\n")
    return Target(1, sha=within[0], title=title)


async def _is_ancestor(sha: str, at: Sha, desk: Desk) -> bool:
    try:
        await desk.ask_git("merge-base", "--is-ancestor", sha, at)
    except Refused:
        return False
    return True


def faults(tag: FixesTag, target: Target) -> tuple[str, ...]:
    """Everything wrong with a tag, in a few words each."""
    if not tag.sha:
        return tag.faults
    if target.found > 1:
        return (*tag.faults, f"SHA1 is ambiguous, {target.found} commits begin so")
    if not target.found:
        return (
            *tag.faults,
            "target is not an ancestor of this commit" if target.elsewhere else "target SHA1 does not exist",
        )
    if tag.title and not same_title(tag.title, target.title):
        return (*tag.faults, "title does not match target commit's")
    return tag.faults


def said(tags: tuple[FixesTag, ...], targets: Mapping[str, Target], cut: str = "") -> Said:
    """`cut` says how many were looked at, if there were more: then nothing is well."""
    if not tags and not cut:
        return success("No Fixes tag")
    wrong = [(tag, targets.get(tag.sha, Target()), faults(tag, targets.get(tag.sha, Target()))) for tag in tags]
    findings = tuple(Finding(f"{fault}: {tag.line}", level="error") for tag, _, many in wrong for fault in many)
    repeat = "git log -1 --format='Fixes: %h (\"%s\")' --abbrev=12 " + " ".join(tag.sha for tag in tags if tag.sha)
    log = "".join(_shown(*one) for one in wrong)
    if not findings and cut:
        return warning(f"More than {cut}, the rest was not looked at", repeat=repeat, log=log)
    if not findings:
        return success("Fixes tag looks correct", repeat=repeat, log=log)
    named = list(dict.fromkeys(fault for _, _, many in wrong for fault in many))
    more = ", …" if len(named) > _MOST_NAMED else ""
    text = f"Problems with Fixes tag: {len(findings)} ({', '.join(named[:_MOST_NAMED])}{more})"
    return fail(text, findings=findings, repeat=repeat, log=log)


def _shown(tag: FixesTag, target: Target, many: tuple[str, ...]) -> str:
    lines = [tag.line, *(f"    {fault}" for fault in many)]
    if many and target.sha:
        lines.append(f'    meant is perhaps: Fixes: {target.sha[:12]} ("{target.title}")')
    return "\n".join(lines) + "\n"
