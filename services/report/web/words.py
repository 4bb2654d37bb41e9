"""Values as a reader sees them: times, spans, sizes, states. Pure; everything returned is safe or gets escaped."""

import shlex
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from markupsafe import Markup

from shared.formats.clean import plain

GOOD = frozenset({"success", "pass", "applied", "ok", "done", "take", "idle", "xfail", "posted", "well", "recovered"})
BAD = frozenset(
    {"fail", "error", "red", "refused", "failed", "broken", "dead", "drop", "malformed", "silent", "expired"}
)
WARN = frozenset(
    {"warning", "warn", "infra", "abandoned", "parked", "hold", "xpass", "leave", "paused", "late", "soon", "flaky"}
)
BUSY = frozenset(
    {"pending", "waiting", "open", "running", "planned", "built", "pushed", "announced", "busy", "intent", "leased"}
)


def kind_of(state: str) -> str:
    """The colour of a state's word: good, bad, warn, busy or quiet."""
    for kind, words in (("good", GOOD), ("bad", BAD), ("warn", WARN), ("busy", BUSY)):
        if state in words:
            return kind
    return "quiet"


def badge(state: str, words: str = "") -> Markup:
    """A state by word and colour."""
    if not state:
        return Markup("")
    return Markup('<span class="badge {}">{}</span>').format(kind_of(state), words or state)


GLYPHS = {
    "success": "✓", "warning": "!", "fail": "✗", "pending": "…", "running": "▸", "planned": "·", "infra": "?",
    "unasked": "–", "cancelled": "×", "pass": "✓", "flaky": "~", "skip": "–", "warn": "!",
}  # fmt: skip


def glyph(state: str) -> str:
    """A state as one sign, for cells of a grid."""
    return GLYPHS.get(state, "·")


def source(text: str) -> str:
    """A line of a stranger's source, made harmless, tabs to eight columns."""
    return plain(text.expandtabs(8))


def when(time: datetime | None) -> Markup:
    """A time in UTC, to the minute; to the second in its title."""
    if time is None:
        return Markup('<span class="none">–</span>')
    utc = time.astimezone(UTC)
    return Markup('<time datetime="{}" title="{} UTC">{}</time>').format(
        utc.isoformat(timespec="seconds"), f"{utc:%Y-%m-%d %H:%M:%S}", f"{utc:%Y-%m-%d %H:%M}"
    )


def span(seconds: float | None) -> str:
    """How long: ``0.4 s``, ``12 s``, ``3 min``, ``2 h 05 min``, ``4 d``."""
    if seconds is None:
        return ""
    if seconds < 0:
        return f"-{span(-seconds)}"
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = int(seconds // 60)
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60:02d} min" if minutes % 60 else f"{minutes // 60} h"
    return f"{minutes // 1440} d"


def size(count: int) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            return f"{count:.0f} {unit}" if unit == "B" or count >= 100 else f"{count:.1f} {unit}"
        count = count / 1000  # type: ignore[assignment]
    raise AssertionError


def short(sha: str) -> Markup:
    """A commit id's first twelve digits, the whole in its title."""
    if not sha:
        return Markup("")
    return Markup('<code title="{}">{}</code>').format(sha, sha[:12])


def clean(text: str) -> str:
    """One line of a stranger's, made harmless."""
    return plain(text)


def segment(text: str) -> str:
    """`text` as one segment of a path."""
    return quote(text, safe="@")


def path(name: str) -> str:
    """A name with slashes as the end of a path."""
    return quote(name, safe="@/")


def shell(text: str) -> str:
    """One word of a command."""
    return shlex.quote(text)


def first_tests(names: Sequence[Mapping[str, Any]], most: int) -> list[dict[str, str]]:
    """The first of a rollup's tests."""
    return [{"group": t["group"], "test": t["test"]} for t in names[:most]]


def counts(numbers: Mapping[str, int]) -> str:
    """``2 pass, 1 fail``."""
    return ", ".join(f"{n} {word}" for word, n in numbers.items() if n)


FILTERS: Mapping[str, Any] = {
    "when": when,
    "span": span,
    "size": size,
    "short": short,
    "clean": clean,
    "glyph": glyph,
    "source": source,
    "segment": segment,
    "shell": shell,
    "path": path,
    "kind_of": kind_of,
    "tests": first_tests,
    "counts": counts,
}
