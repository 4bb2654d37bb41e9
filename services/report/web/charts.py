"""Charts as SVG that stands in the page: no script, no style of its own, and each point says what it is. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from services.report.web.words import span

WIDTH, HEIGHT, LEFT, EDGE = 720, 120, 44, 8


def durations(outcomes: Sequence[Mapping[str, Any]]) -> Markup:
    """How long each run took, the oldest at the left; "" with fewer than two that said. Given the newest first."""
    told = [row for row in reversed(outcomes) if row["seconds"] is not None and row["seconds"] >= 0]
    if len(told) < 2:
        return Markup("")
    top = max(row["seconds"] for row in told) or 1.0
    places = [
        (LEFT + EDGE + (WIDTH - LEFT - 2 * EDGE) * n / (len(told) - 1), _height(row["seconds"], top))
        for n, row in enumerate(told)
    ]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    dots = Markup("").join(_dot(x, y, row) for (x, y), row in zip(places, told, strict=True))
    return Markup(
        '<svg class="chart" viewBox="0 0 {} {}" role="group" aria-label="{}">'
        '<line class="axis" x1="{left}" y1="{low:.1f}" x2="{}" y2="{low:.1f}"/>'
        '<line class="axis" x1="{left}" y1="{high:.1f}" x2="{}" y2="{high:.1f}"/>'
        '<text x="{label}" y="{high_text:.1f}" text-anchor="end">{}</text>'
        '<text x="{label}" y="{low_text:.1f}" text-anchor="end">0</text>'
        '<polyline points="{}"/>{}</svg>'
    ).format(
        WIDTH, HEIGHT, _told(told), WIDTH, WIDTH, span(top), line, dots, left=LEFT, low=_height(0, top),
        high=_height(top, top), label=LEFT - 4, high_text=_height(top, top) + 4, low_text=_height(0, top) + 4,
    )  # fmt: skip


def _height(seconds: float, top: float) -> float:
    return HEIGHT - EDGE - (HEIGHT - 2 * EDGE) * seconds / top


def _dot(x: float, y: float, row: Mapping[str, Any]) -> Markup:
    return Markup(
        '<a href="/run/{}"><circle class="{}" cx="{:.1f}" cy="{:.1f}" r="3"><title>{}: {}, {}</title></circle></a>'
    ).format(row["run_id"], row["outcome"], x, y, row["branch"], row["outcome"], span(row["seconds"]))


def _told(told: Sequence[Mapping[str, Any]]) -> str:
    seconds = sorted(row["seconds"] for row in told)
    return (
        f"how long {len(told)} runs took: {span(seconds[0])} to {span(seconds[-1])}, "
        f"half of them up to {span(seconds[len(seconds) // 2])}"
    )


def bars(days: Sequence[Mapping[str, Any]]) -> Markup:
    """Stacked bars, one a day, the oldest at the left: patches that were told success, warning and fail."""
    if not days:
        return Markup("")
    top = max(sum(day[state] for state in _STACK) for day in days) or 1
    wide = (WIDTH - LEFT - EDGE) / max(len(days), 14)
    drawn = Markup("").join(_bar(LEFT + wide * n, wide, day, top) for n, day in enumerate(days))
    return Markup(
        '<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">'
        '<line class="axis" x1="{left}" y1="{low:.1f}" x2="{w}" y2="{low:.1f}"/>'
        '<text x="{at}" y="{high_text:.1f}" text-anchor="end">{}</text>{}</svg>'
    ).format(
        WIDTH, HEIGHT, f"patches by day, {len(days)} days, {top} at most in one", top, drawn, left=LEFT, w=WIDTH,
        low=_height(0, top), at=LEFT - 4, high_text=_height(top, top) + 4,
    )  # fmt: skip


_STACK = {"success": "pass", "warning": "flaky", "fail": "fail"}
"""From below, and the colour of each."""


def _bar(x: float, wide: float, day: Mapping[str, Any], top: int) -> Markup:
    title = f"{day['day']}: " + ", ".join(f"{day[state]} {state}" for state in _STACK)
    below, drawn = 0, Markup("")
    for state, colour in _STACK.items():
        low, high = _height(below, top), _height(below + day[state], top)
        below += day[state]
        drawn += Markup('<rect class="{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"/>').format(
            colour, x + wide * 0.1, high, wide * 0.8, low - high
        )
    return Markup("<g><title>{}</title>{}</g>").format(title, drawn)


BADGE_HEIGHT, LETTER = 20, 7
_COLOURS = {"good": "#1a7f37", "bad": "#c0202a", "warn": "#8a5a00", "busy": "#1f5fae", "quiet": "#5c6570"}


def badge_image(label: str, word: str, kind: str) -> str:
    """A badge for READMEs and mails: what it is of, and its state by word and colour."""
    left, right = LETTER * len(label) + 14, LETTER * len(word) + 14
    return str(
        Markup(
            '<svg xmlns="http://www.w3.org/2000/svg" width="{w}" height="{h}" role="img" aria-label="{label}: {word}">'
            "<title>{label}: {word}</title>"
            '<rect width="{left}" height="{h}" fill="#3a4048"/>'
            '<rect x="{left}" width="{right}" height="{h}" fill="{colour}"/>'
            '<g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11" text-anchor="middle">'
            '<text x="{at}" y="14">{label}</text><text x="{then}" y="14">{word}</text></g></svg>'
        ).format(
            w=left + right, h=BADGE_HEIGHT, label=label, word=word, left=left, right=right,
            colour=_COLOURS.get(kind, _COLOURS["quiet"]), at=left / 2, then=left + right / 2,
        )
    )  # fmt: skip
