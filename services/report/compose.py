"""The words of verdicts: one line each, as they stand on Patchwork. Pure.

A line is at most `LIMIT` characters. Patchwork itself has no limit; people read these in a table.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

LIMIT = 255
URL_LIMIT = 200
"""Patchwork refuses a longer target_url."""


@dataclass(frozen=True, slots=True)
class Clash:
    """A series that does not fit on a branch: which patch of it, in which files, and against whom."""

    branch: str
    patch_number: int | None = None
    patch_title: str = ""
    files: Sequence[str] = ()
    rival_title: str = ""
    rival_message_id: str = ""


def clip(text: str, limit: int = LIMIT) -> str:
    """One line of at most `limit` characters, without control characters."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def conflict(clash: Clash) -> str:
    """Why a series is not on the branch. The rival's name is what its author needs most, so all else is cut first."""
    for title, files in ((80, 4), (50, 2), (0, 2), (0, 1), (0, 0)):
        text = _conflict(clash, title, files)
        if len(text) <= LIMIT:
            return text
    return clip(text)


def _conflict(clash: Clash, title: int, most: int) -> str:
    parts = []
    if clash.patch_number is not None:
        name = f" ({clip(clash.patch_title, title)})" if clash.patch_title and title else ""
        parts.append(f"patch {clash.patch_number} of this series{name}")
    if clash.files and most:
        parts.append(f"in {some(clash.files, most)}")
    if clash.rival_message_id:
        parts.append(f"with series '{clip(clash.rival_title, 80)}' ({clash.rival_message_id})")
    head = f"Conflicts with pending/net patches ({clash.branch})"
    return clip(f"{head}: {_joined(parts)}" if parts else head, 1000)


def _joined(parts: Sequence[str]) -> str:
    return ", ".join([" ".join(parts[:-1]), parts[-1]]) if "with series" in parts[-1] and parts[1:] else " ".join(parts)


def some(names: Sequence[str], most: int) -> str:
    """The first of them, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def applies(tree: str, already: bool) -> str:
    return f"Patch already applied to {tree}" if already else f"Applies to {tree}"


def does_not_apply(tree: str, patch_number: int | None, files: Sequence[str], reason: str) -> str:
    """What a refused series reads; without a patch at fault the reason alone says it."""
    if patch_number is None:
        return clip(reason or f"Does not apply to {tree}")
    head = f"Patch {patch_number} does not apply" + (f" to {tree}" if tree else "")
    tail = some(files, 3) if files else reason
    return clip(f"{head}: {tail}" if tail else head)


def by_hand(why: str, who: str) -> str:
    return clip(f"Set by {who}: {why}")


def series_url(public_url: str, series: int, message_id: str) -> str:
    """Where the series' page is; by its number if the address were too long for Patchwork."""
    return next((url for url in _series_urls(public_url, series, message_id) if len(url) <= URL_LIMIT), "")


def check_url(public_url: str, series: int, message_id: str, context: str, patch: int) -> str:
    """Where the page of one check's result is; the series' page where even its shortest form were too long."""
    tail = check_path(context, patch)
    urls = (f"{url}{tail}" for url in _series_urls(public_url, series, message_id))
    return next((url for url in urls if len(url) <= URL_LIMIT), series_url(public_url, series, message_id))


def check_path(context: str, patch: int) -> str:
    """The end of that address, below the series'. `patch` 0 is the series as a whole."""
    return f"/checks/{context}/{patch}" if patch else f"/checks/{context}"


def _series_urls(public_url: str, series: int, message_id: str) -> Sequence[str]:
    named = [f"{public_url}/series/{quote(message_id, safe='@')}"] if message_id else []
    return [*named, f"{public_url}/series/{series}"]
