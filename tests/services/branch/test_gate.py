"""What lets a series pass a gate, and the words for what does not."""

import pytest

from services.branch.gate import Gate, against

OK, WARN, FAIL = ("success", "fine"), ("warning", "1 more warning"), ("fail", "does not build")


@pytest.mark.parametrize(
    ("gate", "why"),
    [
        (Gate({1: OK, 2: WARN, 3: OK}), ""),
        (Gate({0: OK}), ""),
        (Gate({0: FAIL}), "build is fail: does not build"),
        (Gate({1: OK, 2: FAIL, 3: OK}), "build of patch 2 is fail: does not build"),
        # What is said of a patch goes before what is said of its series.
        (Gate({0: OK, 2: FAIL}), "build of patch 2 is fail: does not build"),
        (Gate({0: FAIL, 1: OK, 2: OK, 3: OK}), ""),
        # Nothing is known, or not of all.
        (Gate(), "build is not settled yet"),
        (Gate({1: OK}), "build is not settled yet of patches 2, 3"),
        # Our own check is at it.
        (Gate({1: OK, 3: OK}, {2: ("running", "")}), "waits for build of patch 2"),
        (
            Gate({1: OK}, {1: ("answered", ""), 2: ("planned", "paused: disk"), 3: ("planned", "")}),
            "waits for build of patches 2, 3: paused: disk",
        ),
        (Gate({}, {0: ("planned", "")}), "waits for build"),
        # It will never answer, and says so.
        (
            Gate({1: OK}, {2: ("running", ""), 3: ("infra", "no such tool: clang")}),
            "build of patch 3 got no answer, by a fault of ours: no such tool: clang",
        ),
        (Gate({}, {0: ("cancelled", "taken back")}), "build was cancelled: taken back"),
        # It answered that somebody else will know.
        (Gate({1: OK, 2: OK}, {3: ("pending", "asked the lab")}), "build of patch 3 is pending: asked the lab"),
        (Gate({}, {0: ("pending", "")}), "build is pending"),
        (Gate({1: OK}, {2: ("pending", "asked"), 3: ("running", "")}), "waits for build of patches 2, 3: asked"),
        (Gate({1: OK}, {2: ("pending", "asked"), 3: ("overdue", "asked")}), "build of patch 2 is pending: asked"),
        (Gate({1: OK, 2: OK}, {3: ("overdue", "asked the lab")}), ""),
        (Gate({1: OK, 2: FAIL}, {3: ("overdue", "asked")}), "build of patch 2 is fail: does not build"),
        # It is not asked: no objection, and no waiting.
        (Gate({}, {0: ("unasked", "a pull request")}), ""),
        (Gate({1: OK, 2: FAIL}, {3: ("unasked", "")}), "build of patch 2 is fail: does not build"),
        (Gate({1: OK}, {2: ("unasked", ""), 3: ("running", "")}), "waits for build of patch 3"),
    ],
)
def test_what_passes_and_why_not(gate: Gate, why: str) -> None:
    assert against("build", gate, (1, 2, 3)) == why


def test_a_series_without_patches_is_asked_as_a_whole() -> None:
    assert against("build", Gate({0: OK}), ()) == ""
    assert against("build", Gate({}, {0: ("running", "")}), ()) == "waits for build"


def test_many_patches_are_not_all_named() -> None:
    why = against("build", Gate({1: OK}), range(1, 40))
    assert why.endswith("20, 21 and 18 more")
