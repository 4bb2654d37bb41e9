"""Whether a series is posted as reviewers want it: a cover letter, not too long, its tree named."""

from collections.abc import Iterator

from pydantic import Field

from services.executor.checks.base import CheckConfig, Desk, Level, Needs, OurCheck, Said, Subject
from shared.model.results import CheckState


class SeriesFormatConfig(CheckConfig):
    longest: int = Field(default=15, ge=1, description="patches of a series")
    uncovered: int = Field(default=2, ge=0, description="so many patches need no cover letter")


class SeriesFormat(OurCheck):
    name = "series_format"
    help = "cover letter, number of patches, the tree named in the subject"
    level = Level.SERIES
    needs = Needs.MAIL
    Config = SeriesFormatConfig
    config: SeriesFormatConfig

    async def ask(self, subject: Subject, desk: Desk) -> Said:
        return said(subject, self.config)


def said(subject: Subject, config: SeriesFormatConfig) -> Said:
    """The worst of what is found, and all of it in words."""
    found = list(_found(subject, config))
    worst = max((state for state, _ in found), default=CheckState.SUCCESS, key=lambda state: state.rank)
    return Said(worst, "; ".join(text for _, text in found) or "Posting correctly formatted")


def _found(subject: Subject, config: SeriesFormatConfig) -> Iterator[tuple[CheckState, str]]:
    yield from _cover(subject, config)
    yield from _length(subject, config)
    if subject.mark_expected and not subject.marked:
        yield CheckState.WARNING, "Target tree name not specified in the subject"


def _cover(subject: Subject, config: SeriesFormatConfig) -> Iterator[tuple[CheckState, str]]:
    if subject.cover is not None:
        return
    if subject.cover_pull:
        yield CheckState.SUCCESS, "Pull request is its own cover letter"
    elif len(subject.patches) <= config.uncovered:
        yield CheckState.SUCCESS, "Single patches do not need cover letters"
    else:
        yield CheckState.WARNING, "Series does not have a cover letter"


def _length(subject: Subject, config: SeriesFormatConfig) -> Iterator[tuple[CheckState, str]]:
    if len(subject.patches) <= config.longest:
        return
    text = f"Series longer than {config.longest} patches"
    if subject.cover_pull:
        yield CheckState.WARNING, f"{text} (PR)"
    else:
        yield CheckState.FAIL, text if subject.cover else f"{text} (and no cover letter)"
