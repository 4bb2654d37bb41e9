"""inline in C files: the compiler knows better."""

import re
from typing import ClassVar

from services.executor.checks.base import Desk, Finding, Needs, OurCheck, Said, Subject, fail, success, warning
from services.executor.lint.code import code_of
from shared.formats.diff_lines import changed_lines

_INLINE = re.compile(r"(?<!\w)inline(?!\w)", re.IGNORECASE)


class SourceInline(OurCheck):
    """More of them than before fail, as many are worth a look; a patch that takes some away is welcome."""

    name: ClassVar[str] = "source_inline"
    help: ClassVar[str] = "no new inline functions in C files"
    needs: ClassVar[Needs] = Needs.MAIL

    async def ask(self, subject: Subject, desk: Desk) -> Said:
        found = [
            line
            for patch in subject.looked_at
            for line in changed_lines(patch.mail.diff)
            if line.path.endswith(".c") and _INLINE.search(code_of(line.text))
        ]
        added = [line for line in found if line.added]
        new, old = len(added), len(found) - len(added)
        say = success if not new or new < old else warning if new == old else fail
        return say(
            f"Was {old} now: {new}",
            findings=tuple(
                Finding("inline in a C file", one.path, one.number, context=((one.number, one.text),)) for one in added
            ),
            counts={"before": old, "after": new},
            repeat=r"git show HEAD -- '*.c' | grep -iE '^[-+](.*\W)?inline\W'",
        )  # fmt: skip
