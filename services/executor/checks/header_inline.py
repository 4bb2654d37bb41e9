"""Functions in headers that are not inline: every file that includes them has a copy, and a warning."""

import re
from typing import ClassVar

from services.executor.checks.base import Desk, Finding, Needs, OurCheck, Said, Subject, fail, success
from services.executor.lint.code import code_of
from shared.formats.diff_lines import changed_lines

_LONGEST = 2000
"""What is looked at of a line, characters."""
_INLINE = re.compile(r"\b(?:__always_|__)?inline(?:__)?\b")
# Something static with an argument list, and no value before it.
_STATIC = re.compile(r"static\s[^=;(]*+\(")
# The head of a function with its brace: a definition, static or not.
_DEFINED = re.compile(
    r"(?!extern\b|typedef\b|else\b|return\b)(?:static\s+)?(?:(?:unsigned|signed|long|short|const)\s+)*"
    r"(?:char|bool|void|int|long|short|unsigned|u8|u16|u32|u64|s8|s16|s32|s64)\s+\**\w+\s*\([^;]*\)\s*\{"
)


class HeaderInline(OurCheck):
    name: ClassVar[str] = "header_inline"
    help: ClassVar[str] = "functions in header files are static inline"
    needs: ClassVar[Needs] = Needs.MAIL

    async def ask(self, subject: Subject, desk: Desk) -> Said:
        found = [
            line
            for patch in subject.looked_at
            for line in changed_lines(patch.mail.diff)
            if line.added and line.path.endswith(".h") and _lacks_inline(line.text)
        ]
        if not found:
            return success("No static functions without inline keyword in header files")
        return fail(
            f"Detected static functions without inline keyword in header files: {len(found)}",
            findings=tuple(
                Finding("function without inline in a header", one.path, one.number, context=((one.number, one.text),))
                for one in found
            ),
            repeat="git show HEAD -- '*.h'",
        )


def _lacks_inline(text: str) -> bool:
    code = code_of(text[:_LONGEST])
    return bool(_STATIC.match(code) or _DEFINED.match(code)) and not _INLINE.search(code)
