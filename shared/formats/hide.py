"""What readers may not see of the words that machines and git leave behind: where our machines are, and with what key.

Pure. Whoever makes such words public, in an event, a verdict or a page, sends them through here.
"""

import re

_ADDRESS = re.compile(
    r"[\w.-]+@[\w.-]*\w(?::\d+)?|\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b|\[?(?<![\w:])[0-9a-fA-F]{0,4}(?::[0-9a-fA-F]{0,4}){2,7}\]?"
)
_CREDENTIALS = re.compile(r"(?<=://)[^/\s]*@")


def hide_addresses(text: str) -> str:
    """`text` without what looks like the address of a machine: user@host, IPv4, IPv6; and without a URL's login."""
    return _ADDRESS.sub("…", _CREDENTIALS.sub("…@", text))
