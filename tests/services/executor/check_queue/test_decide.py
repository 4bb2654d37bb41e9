"""What the checks of a series should be doing, decided from what is known."""

from services.executor.check_queue.decide import (
    MOVED,
    NOT_APPLIED,
    NOT_SETTLED,
    Applied,
    Drop,
    Lane,
    Leave,
    Make,
    Planned,
    Standing,
    Start,
    State,
    again,
    decide,
)

CHECKS: dict[Lane, tuple[str, ...]] = {"mail": ("m",), "tree": ("t", "u"), "build": ("b",)}
ON_TREE = Applied(True, "net-next", "base", "head")
NOWHERE = Applied(False, reason="patch 2 does not apply")


def standing(applied: Applied | None = None, revision: int = 1) -> Standing:
    return Standing(revision, True, applied=applied)


def planned(
    lane: Lane, state: State = "planned", *, id_: int = 1, attempt: int = 0, revision: int = 1, head: str = "",
    left: tuple[str, ...] = (), checks: tuple[str, ...] = (),
) -> Planned:  # fmt: skip
    return Planned(id_, revision, lane, attempt, state, head=head, checks=checks or CHECKS[lane], open_checks=left)


def test_what_arrives_is_checked_by_its_mails_and_waits_with_the_rest() -> None:
    acts = decide(standing(), [], CHECKS)
    assert acts == (
        Make("mail", 0, "planned", "", ("m",)),
        Make("tree", 0, "waiting", NOT_APPLIED, ("t", "u")),
        Make("build", 0, "waiting", NOT_APPLIED, ("b",)),
    )


def test_mails_that_do_not_say_which_tree_they_are_for_wait_for_the_tree() -> None:
    unsure = Standing(1, True, sure=False)
    assert decide(unsure, [], {"mail": ("m",)}) == (Make("mail", 0, "waiting", NOT_SETTLED, ("m",)),)
    for applied in (ON_TREE, NOWHERE):
        now = Standing(1, True, applied=applied, sure=False)
        assert decide(now, [planned("mail", "waiting")], {"mail": ("m",)}) == (Start(1),)


def test_a_lane_without_checks_has_no_plan() -> None:
    assert decide(standing(), [], {"mail": ("m",), "build": ()}) == (Make("mail", 0, "planned", "", ("m",)),)


def test_what_is_applied_starts_and_nothing_is_done_twice() -> None:
    plans = [planned("mail"), planned("tree", "waiting", id_=2), planned("build", "waiting", id_=3)]
    assert decide(standing(ON_TREE), plans, CHECKS) == (Start(2), Start(3))
    now = [
        planned("mail", "done"),
        planned("tree", head="head", id_=2),
        planned("build", "running", head="head", id_=3),
    ]
    assert decide(standing(ON_TREE), now, CHECKS) == ()


def test_events_in_the_wrong_order_come_to_the_same() -> None:
    acts = decide(standing(ON_TREE), [], CHECKS)
    assert {act.state for act in acts if isinstance(act, Make)} == {"planned"}


def test_what_is_refused_says_why_and_may_apply_later() -> None:
    plans = [planned("mail", "done"), planned("tree", "waiting", id_=2), planned("build", "waiting", id_=3)]
    why = "the series is not applied: patch 2 does not apply"
    assert decide(standing(NOWHERE), plans, CHECKS) == (Leave(2, why), Leave(3, why))
    left = [planned("mail", "done"), planned("tree", "unasked", id_=2), planned("build", "unasked", id_=3)]
    assert decide(standing(NOWHERE), left, CHECKS) == ()
    assert decide(standing(ON_TREE), left, CHECKS) == (Start(2), Start(3))


def test_nobody_waits_for_a_superseded_series() -> None:
    plans = [planned("mail", "done"), planned("tree", "running", id_=2), planned("build", "waiting", id_=3)]
    acts = decide(Standing(1, False, "superseded by v2", ON_TREE), plans, CHECKS)
    assert acts == (Drop(2, "superseded by v2"), Drop(3, "superseded by v2"))


def test_a_higher_revision_takes_the_place_of_the_lower() -> None:
    acts = decide(standing(revision=2), [planned("mail", "running"), planned("tree", "done", id_=2)], {"mail": ("m",)})
    assert acts == (Drop(1, "revision 2 of the series came"), Make("mail", 1, "planned", "", ("m",)))


def test_attempts_count_over_revisions() -> None:
    acts = decide(standing(revision=3), [planned("mail", "done", attempt=4, revision=2)], {"mail": ("m",)})
    assert acts == (Make("mail", 5, "planned", "", ("m",)),)


def test_what_is_back_is_asked_what_it_was_not() -> None:
    plans = [planned("tree", "cancelled", left=("u", "gone"), head="head")]
    assert decide(standing(ON_TREE), plans, {"tree": ("t", "u")}) == (Make("tree", 1, "planned", "", ("u",)),)
    assert decide(standing(ON_TREE), [planned("tree", "cancelled", head="head")], {"tree": ("t",)}) == ()


def test_what_is_back_is_asked_what_none_of_its_attempts_answered() -> None:
    lane: dict[Lane, tuple[str, ...]] = {"build": ("a", "b", "x")}
    first = planned("build", "cancelled", head="head", left=("a", "b"), checks=("a", "b", "x"))
    beside = planned("build", "cancelled", id_=2, attempt=1, head="head", left=("x",), checks=("x",))
    assert decide(standing(ON_TREE), [first, beside], lane) == (Make("build", 2, "planned", "", ("a", "b", "x")),)
    answered = planned("build", "done", id_=2, attempt=1, head="head", checks=("x",))
    assert decide(standing(ON_TREE), [first, answered], lane) == (Make("build", 2, "planned", "", ("a", "b")),)
    rest = planned("build", "running", id_=3, attempt=2, head="head", checks=("a", "b"), left=("a",))
    assert decide(standing(ON_TREE), [first, answered, rest], lane) == ()
    again_gone = planned("build", "cancelled", id_=3, attempt=2, head="head", checks=("a", "b"), left=("b",))
    assert decide(standing(ON_TREE), [first, answered, again_gone], lane) == (Make("build", 3, "planned", "", ("b",)),)


def test_what_is_back_on_another_base_is_asked_everything() -> None:
    for left in (("u",), ()):
        plans = [planned("tree", "cancelled", head="old", left=left)]
        assert decide(standing(ON_TREE), plans, {"tree": ("t", "u")}) == (
            Make("tree", 1, "planned", MOVED, ("t", "u")),
        )


def test_what_was_asked_on_the_new_base_by_hand_is_not_asked_there_twice() -> None:
    plans = [planned("tree", "running", head="old", left=("u",)),
             planned("tree", "done", id_=2, attempt=1, head="head", checks=("t",))]  # fmt: skip
    assert decide(standing(ON_TREE), plans, {"tree": ("t", "u")}) == (
        Drop(1, MOVED), Make("tree", 2, "planned", MOVED, ("u",)),
    )  # fmt: skip


def test_what_is_configured_since_is_asked_of_what_was_done() -> None:
    for state in ("done", "running", "planned"):
        plans = [planned("tree", state, head="head", checks=("t",))]
        assert decide(standing(ON_TREE), plans, {"tree": ("t", "u")}) == (Make("tree", 1, "planned", "", ("u",)),)
    waiting = [planned("tree", "waiting", checks=("t",))]
    more = Make("tree", 1, "waiting", NOT_APPLIED, ("u",))
    assert decide(standing(), waiting, {"tree": ("t", "u")}) == (more,)
    both = [*waiting, planned("tree", "waiting", id_=2, attempt=1, checks=("u",))]
    assert decide(standing(ON_TREE), both, {"tree": ("t", "u")}) == (Start(1), Start(2))
    # What is configured no more is no loss.
    assert decide(standing(ON_TREE), [planned("tree", "done", head="head")], {"tree": ("t",)}) == ()


def test_a_moved_base_asks_everything_again() -> None:
    plans = [planned("mail", "done"), planned("tree", "running", id_=2, head="old"),
             planned("build", "done", id_=3, head="old")]  # fmt: skip
    assert decide(standing(ON_TREE), plans, CHECKS) == (
        Drop(2, MOVED), Make("tree", 1, "planned", MOVED, ("t", "u")), Make("build", 1, "planned", MOVED, ("b",)),
    )  # fmt: skip


def test_by_hand_what_is_not_coming_anyhow_is_asked_again() -> None:
    plans = [planned("mail", "done"), planned("tree", "running", id_=2, head="head", left=("u",)),
             planned("build", "done", id_=3, head="head")]  # fmt: skip
    assert [(m.lane, m.attempt, m.checks) for m in again(standing(ON_TREE), plans, CHECKS, (), "flaky")] == [
        ("mail", 1, ("m",)), ("tree", 1, ("t",)), ("build", 1, ("b",)),
    ]  # fmt: skip
    assert [m.checks for m in again(standing(ON_TREE), plans, CHECKS, ("b", "u"), "flaky")] == [("b",)]


def test_by_hand_nothing_is_asked_of_what_nobody_waits_for() -> None:
    assert again(Standing(1, False, "superseded"), [], CHECKS, (), "") == ()


def test_by_hand_what_needs_a_tree_is_remembered_until_the_series_is_applied() -> None:
    done = planned("tree", "done", head="head")
    refused = "the series is not applied: patch 2 does not apply"
    cases: list[tuple[Applied | None, State, str]] = [(None, "waiting", NOT_APPLIED), (NOWHERE, "unasked", refused)]
    for applied, state, why in cases:
        (made,) = again(standing(applied), [done], CHECKS, ("t",), "flaky")
        assert made == Make("tree", 1, state, why, ("t",))
        wished = planned("tree", made.state, id_=2, attempt=1, checks=("t",), left=("t",))
        assert again(standing(applied), [done, wished], CHECKS, ("t",), "flaky") == ()
        assert decide(standing(ON_TREE), [done, wished], {"tree": ("t", "u")}) == (Start(2),)
        moved = standing(Applied(True, "net-next", "base", "other"))
        assert decide(moved, [done, wished], {"tree": ("t", "u")}) == (
            Start(2), Make("tree", 2, "planned", MOVED, ("u",)),
        )  # fmt: skip
