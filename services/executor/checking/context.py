"""The lines around what was found, from the patched tree, for findings that come without."""

from collections.abc import Sequence
from dataclasses import replace

from services.executor.checks.base import Desk, Said, Subject
from shared.formats.clean import cut, plain

AROUND = 3
"""Lines before and after."""
SHOWN = 50
"""Findings of one answer that get their lines; a page shows no more at first sight."""
_LONGEST = 300


async def with_context(said: Said, subject: Subject, desk: Desk) -> Said:
    """The same answer, its new findings shown in their source."""
    commit = subject.head if subject.patch is None else subject.patch.commit
    bare = [one for one in said.findings if one.new and one.path and one.line and not one.context][:SHOWN]
    if not commit or not bare:
        return said
    texts: dict[str, Sequence[str]] = {}
    for path in dict.fromkeys(one.path for one in bare):
        data = await desk.read(commit, path)
        texts[path] = data.decode("utf-8", "replace").split("\n") if data and b"\0" not in data else ()
    shown = {id(one): replace(one, context=around(texts[one.path], one.line or 0)) for one in bare}
    return replace(said, findings=tuple(shown.get(id(one), one) for one in said.findings))


def around(lines: Sequence[str], number: int) -> tuple[tuple[int, str], ...]:
    """Line `number`, counted from 1, and its neighbours, each with its number; none if there is no such line."""
    if not 1 <= number <= len(lines):
        return ()
    first = max(1, number - AROUND)
    return tuple(
        (first + at, cut(plain(line.replace("\t", " " * 8)), _LONGEST))
        for at, line in enumerate(lines[first - 1 : number + AROUND])
    )
