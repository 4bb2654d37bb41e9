"""How the field spells the kernel's selftests: the names that results of one test are compared by."""

import re
from collections import Counter

_WRAPPED = re.compile(r"selftests: ([^\s:][^:]*): (.+)")


def dashed(name: str) -> str:
    """A name as the field's result files write it: every run of other characters is one dash, as in
    ``gro-sh``.

    Readers of NIPA's results compare names written this way.
    """
    return re.sub(r"[^0-9A-Za-z]+", "-", name)[:200].strip("-") or "no-name"


def group_of(target: str) -> str:
    """``net/forwarding`` is shown as ``selftests-net-forwarding``."""
    return "selftests-" + target.replace("/", "-")


def unwrap(name: str) -> tuple[str, str] | None:
    """Target and program of a name that the kernel's runner writes, ``selftests: net: gro.sh``; None of another."""
    found = _WRAPPED.fullmatch(name)
    return (found[1], found[2].strip()) if found else None


class Spelling:
    """Gives the tests of one run their groups and names, no two alike."""

    def __init__(self) -> None:
        self._taken: Counter[tuple[str, str]] = Counter()

    def of(self, target: str, program: str) -> tuple[str, str]:
        """The group and the test's name."""
        group, test = group_of(target), dashed(program)
        self._taken[group, test] += 1
        # a.sh and a_sh are one name in the field's spelling, and yet two tests.
        number = self._taken[group, test]
        return group, f"{test}-{number}" if number > 1 else test
