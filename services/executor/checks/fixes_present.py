"""Whether a series for a tree of fixes says what it fixes."""

import re

from services.executor.checks.base import CheckConfig, Desk, Level, Needs, OurCheck, Said, Subject, fail, success
from shared.formats.trailers import message_of

_TAG = re.compile(r"^Fixes:\s", re.M)


class FixesPresentConfig(CheckConfig):
    """`harmless`: beginnings of paths; what touches nothing else breaks nothing and so fixes nothing."""

    harmless: tuple[str, ...] = ("Documentation/", "MAINTAINERS")


class FixesPresent(OurCheck):
    name = "fixes_present"
    help = "a series for a tree of fixes has a Fixes: tag"
    level = Level.SERIES
    needs = Needs.MAIL
    Config = FixesPresentConfig
    config: FixesPresentConfig

    async def ask(self, subject: Subject, desk: Desk) -> Said:
        return said(subject, self.config.harmless)


def said(subject: Subject, harmless: tuple[str, ...]) -> Said:
    """A series whose tree is not settled yet counts as one for -next: with a tag it would pass either way, and without
    one it is not taken for fixes.
    """
    if subject.kind != "fixes":
        return success("Fixes tag not required for -next series")
    if any(_TAG.search(message_of(patch.mail.body)) for patch in subject.patches):
        return success("Fixes tag present in non-next series")
    if subject.paths and all(path.startswith(harmless) for path in subject.paths):
        return success("No Fixes tags, but series doesn't touch code")
    return fail("Series targets non-next tree, but doesn't contain any Fixes tags")
