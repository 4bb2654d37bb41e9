"""What a check says of a comparison: the line for Patchwork, findings in their source, the log behind. Pure but for
asking the desk for sources.
"""

from collections.abc import Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

from services.executor.builds.compare import Comparison, Found
from services.executor.builds.recipe import Recipe
from services.executor.checks.base import Desk, Finding, Said, Subject, fail, success, warning
from shared.model.ids import Sha
from shared.model.results import Cause

AROUND = 3
"""Lines shown on each side of a message."""
MOST_NEW, MOST_OLD, MOST_FILES = 200, 100, 50

_RULES = ("Makefile", "Kbuild", "scripts/*", "arch/*/Makefile", "tools/build/*", "tools/objtool/*", "tools/scripts/*")


async def build(subject: Subject, desk: Desk, recipe: Recipe) -> Said:
    """Build what is looked at, and answer."""
    found = await desk.builder.compare(subject, recipe, desk.describe)
    said = answer(found, recipe, changed_rules(subject))
    commit = subject.looked_at[-1].commit if not subject.pull else subject.head
    return await with_sources(said, commit, desk)


def answer(found: Comparison, recipe: Recipe, rules: Sequence[str] = ()) -> Said:
    """The answer, without sources. `rules` are files that the patch changes and that builds go by."""
    notes = (*found.notes, *_notes(found), *_ruled(rules))
    more = {"log": found.log, "repeat": recipe.repeat(), "notes": notes}
    if found.timed_out:
        return warning(f"took longer than {recipe.seconds:g} s", cause=Cause.TIMEOUT, **more)
    if found.said:
        return fail(f"The build {found.said}", **more)
    findings = (*_findings(found.new, True, MOST_NEW), *_untracked(found), *_findings(found.old, False, MOST_OLD))
    counts = {"before": found.before, "after": found.after, "new": len(found.new), "rebuilt": found.rebuilt}
    verdict = fail if found.breaks or found.new or found.fresh else success
    return verdict(text(found, bool(recipe.products)), findings=findings, counts=counts, **more)


def text(found: Comparison, products: bool = False) -> str:
    """NIPA's line, and what the two numbers in it do not tell."""
    before = f"{found.before} (+{found.untracked_before})" if products else str(found.before)
    after = f"{found.after} (+{found.untracked})" if products else str(found.after)
    line = f"Errors and warnings before: {before} this patch: {after}"
    if found.breaks:
        line += "; does not build"
    elif found.new and len(found.new) != found.after - found.before:
        line += f"; new: {len(found.new)}"
    return line


def _notes(found: Comparison) -> tuple[str, ...]:
    notes = []
    if not found.base_built:
        notes.append("The base does not build either; what it and the patch say was compared all the same.")
    elif not found.parent_built and not found.built:
        notes.append("It did not build before this patch either: an earlier patch of the series broke it.")
    if found.lacking:
        notes.append(f"The configuration came out without {', '.join(found.lacking)}.")
    return tuple(notes)


def _ruled(rules: Sequence[str]) -> tuple[str, ...]:
    shown = ", ".join(rules[:3]) + (f" and {len(rules) - 3} more" if len(rules) > 3 else "")
    return (f"Built by the patched tree's own rules: the series changes {shown}.",) if rules else ()


def changed_rules(subject: Subject) -> tuple[str, ...]:
    """Files that say how all is built, as far as the series changes them."""
    paths = replace(subject, patch=None).paths
    return tuple(path for path in paths if any(fnmatchcase(path, glob) for glob in _RULES))


def _findings(some: Sequence[Found], new: bool, most: int) -> tuple[Finding, ...]:
    return tuple(_finding(one, new) for one in some[:most])


def _finding(found: Found, new: bool) -> Finding:
    one = found.diagnostic
    said = f"{one.text} (in {found.units} objects)" if found.units > 1 else one.text
    return Finding(said, one.path, one.line, one.level, new)


def _untracked(found: Comparison) -> tuple[Finding, ...]:
    return tuple(Finding("built, and git does not ignore it", path) for path in found.fresh[:MOST_NEW])


async def with_sources(said: Said, commit: Sha, desk: Desk) -> Said:
    """With the lines around each new message, as the patched tree has them."""
    wanted = [one.path for one in said.findings if one.new and one.line is not None]
    sources = {path: await desk.read(commit, path) for path in list(dict.fromkeys(wanted))[:MOST_FILES]}
    lines = {path: data.decode("utf-8", "replace").splitlines() for path, data in sources.items() if data is not None}
    return replace(said, findings=tuple(_shown(one, lines.get(one.path, ())) for one in said.findings))


def _shown(finding: Finding, lines: Sequence[str]) -> Finding:
    if not finding.new or finding.line is None or not 1 <= finding.line <= len(lines):
        return finding
    first = max(1, finding.line - AROUND)
    around = lines[first - 1 : finding.line + AROUND]
    return replace(finding, context=tuple(enumerate(around, first)))
