"""What may be handed to git as a name: commit ids and refs, checked before they reach a command line.

Pure. It refuses to know whether a name exists.
"""

import re

from shared.errors import Refused
from shared.model.ids import Sha, is_sha

# git-check-ref-format(1): no component begins with a dot or ends in .lock, no "..", no "@{", no blank, control
# character or one of ~^:?*[\, no empty component, no dot or slash at the end. We want at least "refs/x/y".
_BAD = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|/\.|\.lock(/|$)|[./]$")


def check_ref(ref: str) -> str:
    """`ref` itself when it is a full, well-formed ref name; else Refused."""
    if not ref.startswith("refs/") or ref.count("/") < 2 or _BAD.search(ref) or len(ref) > 1000:
        raise Refused(f"{ref[:200]!r} is not a well-formed ref")
    return ref


def check_sha(sha: str) -> Sha:
    """`sha` itself when it is a full commit id; else Refused."""
    if not is_sha(sha):
        raise Refused(f"{sha[:200]!r} is not a full commit id")
    return Sha(sha)
