"""Which questions git is asked for a check: commands that only read, with options that only choose what is shown.

What a check asks about comes from mails, so that a name in it may look like an option: whatever stands where a
name can stand is passed behind ``--end-of-options``. Pure.
"""

import re
from collections.abc import Sequence

from shared.errors import Refused

COMMANDS = frozenset(
    ("log", "show", "rev-parse", "cat-file", "merge-base", "diff-tree", "ls-tree", "rev-list", "blame")
)

_OPTION = re.compile(
    r"-[0-9]+|-n[0-9]+|-[zrtpseq]|-[MCU][0-9]*%?|-L[0-9]+,\+?[0-9]+|-w"
    r"|--(?:format|pretty|max-count|since|until|after|before|abbrev|short|skip|diff-filter|unified|grep|author"
    r"|find-renames|date|ignore-rev|disambiguate)=.*"
    r"|--(?:verify|quiet|is-ancestor|count|name-only|name-status|raw|numstat|stat|shortstat|no-patch|patch|root"
    r"|no-renames|find-renames|first-parent|reverse|no-merges|merges|all|not|full-tree|fixed-strings|oneline|short"
    r"|abbrev-commit|no-abbrev|no-commit-id|always|no-color|no-show-signature|no-notes|no-decorate|all-match|parents"
    r"|regexp-ignore-case|extended-regexp|porcelain|line-porcelain|incremental|objects|branches|topo-order|follow)"
    r"|-i|-E|-F|-s"
)


def question(argv: Sequence[str]) -> list[str]:
    """The command line for git. Raises Refused for a command or an option that is not on the list."""
    if not argv or argv[0] not in COMMANDS:
        raise Refused(f"git {argv[0] if argv else ''} is not among what a check may ask")
    words = list(argv[1:])
    names = next((at for at, word in enumerate(words) if not word.startswith("-") or word in _ENDS), len(words))
    options, rest = words[:names], words[names:]
    if strange := [word for word in options if not _OPTION.fullmatch(word)]:
        raise Refused(f"git {argv[0]} is not asked with {strange[0][:100]!r}")
    if rest[:1] == ["--end-of-options"] or rest[:1] == ["--"] or not rest:
        return [argv[0], *options, *rest]
    return [argv[0], *options, "--end-of-options", *rest]


_ENDS = ("--", "--end-of-options")
