"""Pull requests as mailed: the address and the ref that a mail asks somebody to pull.

Reads what ``git request-pull`` writes ("are available in the Git repository at:"), with the address on the same line
or below, quoted lines left out. Whether the address may be fetched is nothing that is decided here.
"""

import re

_ASKED = re.compile(
    r"^(?:The following changes since|are available in the|is available in the|Please pull)[^\n]*$", re.M | re.I
)
_AT = re.compile(
    r"(?:are|is) available in the (?:git )?repository at:?\s{1,20}"
    r"((?:https?|git|ssh)://[^\s<>]{1,400}|git@[^\s<>]{1,400})(?:[ \t]{1,20}(?:\\\n[ \t]{0,20})?([^\s<>\\]{1,200}))?",
    re.I,
)


def pull_request(body: str) -> str:
    """``"URL ref"`` as the mail names them, ``"URL"`` where no ref is named; "" if the mail asks for no pull."""
    if not _ASKED.search(body):
        return ""
    found = _AT.search(body)
    return f"{found[1]} {found[2] or ''}".strip() if found else ""
