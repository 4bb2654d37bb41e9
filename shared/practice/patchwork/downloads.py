"""Patchwork's downloads outside the API: mailboxes, bare diffs, and the old addresses that redirect to them."""

from __future__ import annotations

import re
from collections.abc import Callable

from shared.practice.patchwork import asking, mbox
from shared.practice.patchwork.asking import Answer, Ask
from shared.practice.patchwork.links import page_of
from shared.practice.patchwork.records import Cover, Patch
from shared.practice.patchwork.state import Patchwork

Download = Callable[[Patchwork, Ask, "re.Match[str]"], Answer]


def answer(pw: Patchwork, ask: Ask) -> Answer | None:
    """Answer a request for a download; None when no such path is known."""
    for pattern, give in ROUTES:
        match = pattern.match(ask.path)
        if match:
            return give(pw, ask, match) if ask.method in ("GET", "HEAD") else asking.as_page("", 405)
    return None


def series_mbox(pw: Patchwork, ask: Ask, match: re.Match[str]) -> Answer:
    series = pw.series.get(int(match[1]))
    if series is None:
        return asking.not_found()
    return _file(mbox.of_series(pw, series), "text/plain", f"{mbox.file_name(series.name or '')}.patch")


def patch_mbox(pw: Patchwork, ask: Ask, match: re.Match[str]) -> Answer:
    """With `?series=*` or `?series=N` the earlier patches of its series come first."""
    patch = _patch(pw, match)
    wanted = ask.query.get("series", [""])[-1]
    if patch is None or (wanted not in ("", "*") and wanted != str(patch.series)):
        return asking.not_found()
    text = mbox.of_patch(pw, patch)
    if wanted and patch.series:
        text = mbox.joined(pw, _up_to(pw, patch))
    return _file(text, "text/plain; charset=utf-8", f"{mbox.file_name(patch.name)}.patch")


def _up_to(pw: Patchwork, patch: Patch) -> list[Patch]:
    fellows = sorted(pw.received(pw.series[patch.series or 0]), key=lambda p: p.number or 0)
    return [fellow for fellow in fellows if (fellow.number or 0) <= (patch.number or 0)]


def patch_raw(pw: Patchwork, ask: Ask, match: re.Match[str]) -> Answer:
    patch = _patch(pw, match)
    if patch is None:
        return asking.not_found()
    return _file(patch.diff or "", "text/x-patch", f"{mbox.file_name(patch.name)}.diff")


def cover_mbox(pw: Patchwork, ask: Ask, match: re.Match[str]) -> Answer:
    cover = _cover(pw, match)
    if cover is None:
        return asking.not_found()
    return _file(mbox.of_cover(pw, cover), "text/plain", f"{mbox.file_name(cover.name)}.mbox")


def old_patch(pw: Patchwork, ask: Ask, match: re.Match[str]) -> Answer:
    patch = pw.patches.get(int(match[1]))
    if patch is None:
        return asking.not_found()
    return asking.moved(page_of("patch", patch.msgid, pw.projects[patch.project].link_name) + match[2], 302)


def old_cover(pw: Patchwork, ask: Ask, match: re.Match[str]) -> Answer:
    cover = pw.covers.get(int(match[1]))
    if cover is None:
        return asking.not_found()
    return asking.moved(page_of("cover", cover.msgid, pw.projects[cover.project].link_name) + match[2], 302)


def _file(text: str, kind: str, name: str) -> Answer:
    body = text.encode("utf-8", "surrogateescape")
    return Answer(200, body, {"Content-Type": kind, "Content-Disposition": f"attachment; filename={name}"})


def _key(pw: Patchwork, match: re.Match[str]) -> tuple[int, str]:
    """The slash of a message id is still escaped once when the path has been unescaped."""
    projects = {project.link_name: project.id for project in pw.projects.values()}
    return projects.get(match[1], 0), f"<{match[2].replace('%2F', '/')}>"


def _patch(pw: Patchwork, match: re.Match[str]) -> Patch | None:
    return pw.patches_by_msgid.get(_key(pw, match))


def _cover(pw: Patchwork, match: re.Match[str]) -> Cover | None:
    return pw.covers_by_msgid.get(_key(pw, match))


ROUTES: tuple[tuple[re.Pattern[str], Download], ...] = (
    (re.compile(r"/series/(\d+)/mbox/\Z"), series_mbox),
    (re.compile(r"/project/([^/]+)/patch/([^/]+)/mbox/\Z"), patch_mbox),
    (re.compile(r"/project/([^/]+)/patch/([^/]+)/raw/\Z"), patch_raw),
    (re.compile(r"/project/([^/]+)/cover/([^/]+)/mbox/\Z"), cover_mbox),
    (re.compile(r"/patch/(\d+)/(mbox/|raw/|)\Z"), old_patch),
    (re.compile(r"/cover/(\d+)/(mbox/|)\Z"), old_cover),
)
