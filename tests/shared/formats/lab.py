"""What labs send, made by hand and by chance; shared by the tests of the formats."""

import resource
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from shared.formats.faults import Fault, Faulty
from shared.formats.reported import name_of
from shared.model.results import Case, Cause, Result

# Text that is fit to store already: what reading cleans is tested by itself.
LINE = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=12)
NAMES = LINE.filter(lambda text: name_of(text) == text) | st.sampled_from(["a b", "t[v/1]", "<&'\">", "ok]]>", "a.b"])
LINKS = st.sampled_from(["", "https://lab.example/a/1", "http://lab.example/?x=<&>'\"#é"])


def cases(**fixed: st.SearchStrategy[Any]) -> st.SearchStrategy[Case]:
    """A case as the ledger may hold it."""
    parts: dict[str, st.SearchStrategy[Any]] = {
        "group": NAMES,
        "test": NAMES,
        "result": st.sampled_from(Result),
        "subtest": st.one_of(st.just(""), NAMES),
        "cause": st.one_of(st.none(), st.sampled_from(Cause)),
        "attempt": st.integers(0, 9),
        "seconds": st.one_of(st.none(), st.floats(0, 1e7)),
        "detail": st.one_of(st.just(""), NAMES),
        "crashes": st.lists(NAMES, max_size=3).map(tuple),
        "link": LINKS,
    }
    return st.builds(Case, **(parts | fixed))


def key(case: Case) -> tuple[str, str, str, int]:
    return case.group, case.test, case.subtest, case.attempt


def a_document(**changes: Any) -> dict[str, Any]:
    """A run's document; None takes a key away."""
    document = {"branch": "net-next-2026-08-20--12-00", "executor": "vm", "cases": []} | changes
    return {name: value for name, value in document.items() if value is not None}


def a_case(**changes: Any) -> dict[str, Any]:
    return {"group": "net", "test": "gro", "result": "pass"} | changes


def told(act: Callable[[], object]) -> tuple[Fault, ...]:
    """The faults that `act` raises; none if it does not."""
    try:
        act()
    except Faulty as error:
        return error.faults or (Fault("", "a refusal without a fault"),) * 99
    return ()


def grown(act: Callable[[], object]) -> int:
    """Bytes by which the process had ever to grow for `act`, at most: its peak afterwards less what it is now."""
    with open("/proc/self/statm") as statm:
        now = int(statm.read().split()[1]) * resource.getpagesize()
    with open("/proc/self/clear_refs", "w") as refs:
        refs.write("5")
    act()
    with open("/proc/self/status") as status:
        peak = next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))
    return max(0, peak - now)
