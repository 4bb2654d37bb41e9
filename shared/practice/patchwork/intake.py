"""How a mail becomes a patch, a cover letter or a comment, and which series it joins.

The rules are Patchwork's, with their traps: a series is found by any message id that one of its patches named when it
was opened, whatever the version; else by sender, version, total and nearness of the Date headers. Both take mails of
other versions or series now and then.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING

from shared.practice.patchwork import diff as diffs
from shared.practice.patchwork.letter import Letter, Title
from shared.practice.patchwork.records import STATES, Comment, Cover, Patch, Person, Project, Series

if TYPE_CHECKING:
    from shared.practice.patchwork.state import Patchwork

DEPENDS = re.compile(r"^Depends-on: *(\S+)\s*$", re.M | re.I)
PREFIXED = re.compile(r"^\[[^\]]*\]\s*(.*)$")


def take(pw: Patchwork, letter: Letter, list_id: str = "") -> Patch | Cover | Comment | None:
    """Store one mail; None when there is nothing to store."""
    project = pw.project_of_list([list_id] if list_id else letter.list_ids)
    if letter.hint == "ignore" or project is None or not (letter.diff or letter.content):
        return None
    title = letter.title(project.link_name)
    date = letter.date or pw.now()
    if not letter.is_reply and (letter.diff or letter.pull_url):
        return _patch(pw, letter, title, project, date)
    if title.number == 0 and _opens_thread(pw, letter, title):
        return _cover(pw, letter, title, project, date)
    return _comment(pw, letter, project, date)


def _opens_thread(pw: Patchwork, letter: Letter, title: Title) -> bool:
    """A 0/n in reply to something is a cover letter only if none of that name is known."""
    if letter.is_reply:
        return False
    return not letter.references or all(cover.name != title.name for cover in pw.covers.values())


def _patch(pw: Patchwork, letter: Letter, title: Title, project: Project, date: datetime) -> Patch | None:
    if (project.id, letter.msgid) in pw.patches_by_msgid:
        return None
    author = pw.person(*letter.author)
    patch = Patch(
        id=pw.next_id("patches"),
        msgid=letter.msgid,
        project=project.id,
        date=date,
        name=title.name[:255],
        submitter=author.id,
        headers=letter.headers,
        content=letter.content,
        diff=letter.diff,
        hash=diffs.fingerprint(letter.diff) if letter.diff else None,
        pull_url=letter.pull_url,
        prefixes=list(title.prefixes),
        state=_state(letter.state),
        delegate=_delegate(pw, letter.delegate),
    )
    pw.patches[patch.id] = pw.patches_by_msgid[project.id, patch.msgid] = patch
    pw.record("patch-created", project.id, patch=patch.id)
    _join(pw, patch, letter, title, author)
    return patch


def _state(name: str) -> str:
    slug = name.lower().replace(" ", "-")
    return slug if slug in STATES else "new"


def _delegate(pw: Patchwork, address: str) -> int | None:
    found = (user.id for user in pw.users.values() if address and user.email.lower() == address.lower())
    return next(found, None)


def _join(pw: Patchwork, patch: Patch, letter: Letter, title: Title, author: Person) -> None:
    """Put the patch in its series, or open one. A patch numbered 0 (a pull request over patches) opens one and
    stays outside.
    """
    number, total = (title.number, title.total) if title.total else (1, 1)
    series = _found(pw, patch, letter, title, author) if title.total else None
    if series is None or _holds(pw, series, number):
        series = _open(pw, patch.project, patch.date, author, title.version, total or 1)
        for ref in (*letter.references, letter.msgid):
            pw.references.setdefault((patch.project, ref[:255]), series.id)
    if number:
        _add(pw, series, patch, number)
        _depend(pw, series, patch.content)


def _open(pw: Patchwork, project: int, date: datetime, author: Person, version: int, total: int) -> Series:
    series = Series(pw.next_id("series"), project, None, date, author.id, version, total)
    pw.series[series.id] = series
    pw.series_by_author[author.id].append(series)
    pw.record("series-created", project, series=series.id)
    return series


def _holds(pw: Patchwork, series: Series, number: int | None) -> bool:
    return any(patch.number == number for patch in pw.received(series))


def _found(pw: Patchwork, patch: Patch, letter: Letter, title: Title, author: Person) -> Series | None:
    for ref in (letter.msgid, *letter.references):
        known = pw.references.get((patch.project, ref[:255]))
        if known is not None:
            return pw.series[known]
    near = [s for s in pw.series_by_author[author.id] if _alike(pw, s, patch, title)]
    if len(near) == 1:
        return near[0]
    free = (s for s in sorted(near, key=lambda s: s.date, reverse=True) if not _holds(pw, s, title.number))
    return next(free, None)


def _alike(pw: Patchwork, series: Series, patch: Patch, title: Title) -> bool:
    return (
        series.project == patch.project
        and series.version == title.version
        and series.total == title.total
        and abs(series.date - patch.date) <= pw.delay
    )


def _add(pw: Patchwork, series: Series, patch: Patch, number: int) -> None:
    patch.series, patch.number = series.id, number
    series.patches.append(patch.id)
    if number == 1 and not series.name:
        series.name = patch.name
    _completed(pw, series, number)
    if len(series.patches) >= series.total:
        pw.record("series-completed", series.project, series=series.id)


def _completed(pw: Patchwork, series: Series, number: int) -> None:
    """A patch is complete when all before it are here; its arrival may complete those behind it too."""
    by_number = {patch.number: patch.id for patch in pw.received(series)}
    if any(before not in by_number for before in range(1, number)):
        return
    while number in by_number:
        pw.record("patch-completed", series.project, patch=by_number[number], series=series.id)
        number += 1


def _cover(pw: Patchwork, letter: Letter, title: Title, project: Project, date: datetime) -> Cover | None:
    if (project.id, letter.msgid) in pw.covers_by_msgid:
        return None
    author = pw.person(*letter.author)
    known = pw.references.get((project.id, letter.msgid))
    series = pw.series[known] if known else _open(pw, project.id, date, author, title.version, title.total or 1)
    pw.references.setdefault((project.id, letter.msgid), series.id)
    cover = Cover(
        pw.next_id("covers"),
        letter.msgid,
        project.id,
        date,
        title.name[:255],
        author.id,
        letter.headers,
        letter.content,
        series.id,
    )
    pw.covers[cover.id] = pw.covers_by_msgid[project.id, cover.msgid] = cover
    pw.record("cover-created", project.id, cover=cover.id)
    _name(pw, series, cover)
    _depend(pw, series, cover.content)
    return cover


def _name(pw: Patchwork, series: Series, cover: Cover) -> None:
    """A cover letter names the series, also over the name that patch 1 gave it."""
    series.cover = cover.id
    first = next((patch.name for patch in pw.received(series) if patch.number == 1), None)
    if series.name is None or series.name == first:
        match = PREFIXED.match(cover.name)
        series.name = match[1] if match else cover.name


def _depend(pw: Patchwork, series: Series, content: str) -> None:
    """`Depends-on:` is read once, here; what is not stored by now is never found."""
    for target in DEPENDS.findall(content):
        wanted = _target(pw, series.project, target)
        if wanted and wanted != series.id and wanted not in series.dependencies:
            series.dependencies.append(wanted)


def _target(pw: Patchwork, project: int, target: str) -> int | None:
    by_list = re.search(r"/list/\?series=(\d+)", target)
    if by_list:
        series = pw.series.get(int(by_list[1]))
        return series.id if series and series.project == project else None
    by_page = re.search(r"/(?:patch|cover)/([^/]+)/?$", target)
    msgid = f"<{by_page[1]}>" if by_page else target
    named = pw.covers_by_msgid.get((project, msgid)) or pw.patches_by_msgid.get((project, msgid))
    return named.series if named else None


def _comment(pw: Patchwork, letter: Letter, project: Project, date: datetime) -> Comment | None:
    """A reply to a patch or a cover letter, or to a reply of one that is known; any other is dropped."""
    patch, cover = _parent(pw, project.id, letter)
    if patch is None and cover is None:
        return None
    table = pw.patch_comments if patch is not None else pw.cover_comments
    kind = "patch" if patch is not None else "cover"
    if any(c.msgid == letter.msgid and (c.patch, c.cover) == (patch, cover) for c in table.values()):
        return None
    comment = Comment(
        pw.next_id(f"{kind}_comments"),
        letter.msgid,
        date,
        pw.person(*letter.author).id,
        letter.headers,
        letter.content,
        patch,
        cover,
    )
    table[comment.id] = comment
    pw.record(f"{kind}-comment-created", project.id, patch=patch, cover=cover, comment=comment.id)
    return comment


def _parent(pw: Patchwork, project: int, letter: Letter) -> tuple[int | None, int | None]:
    replies = {c.msgid: c for c in pw.patch_comments.values() if pw.patches[c.patch or 0].project == project}
    for ref in letter.references:
        patch = pw.patches_by_msgid.get((project, ref))
        if patch or ref in replies:
            return (patch.id if patch else replies[ref].patch), None
    replies = {c.msgid: c for c in pw.cover_comments.values() if pw.covers[c.cover or 0].project == project}
    for ref in letter.references:
        cover = pw.covers_by_msgid.get((project, ref))
        if cover or ref in replies:
            return None, (cover.id if cover else replies[ref].cover)
    return None, None
