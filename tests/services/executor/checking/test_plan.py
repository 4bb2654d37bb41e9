"""The plan of a series: lanes, order, what passes unasked, what is not asked and why."""

from services.executor.checking.plan import NO_PULLS, UNTOUCHED, plan
from services.executor.checking.sink import Task
from services.executor.checks.base import Level, Needs
from tests.services.executor.checking.builders import Told, series

MAIL = Told("mail", needs=Needs.MAIL)
WHOLE = Told("whole", needs=Needs.MAIL, level=Level.SERIES)
TREE = Told("tree")
HEAD = Told("head", level=Level.SERIES)
BUILD = Told("build", needs=Needs.BUILD, pulls=True)
TWO = series("a.c", "b.c")


def test_cheap_lanes_first_and_patches_in_their_order() -> None:
    found = plan([BUILD, TREE, MAIL], TWO)
    assert [(b.lane.name, [str(a.task) for a in b.asks]) for b in found.batches] == [
        ("MAIL", ["mail of patch 1", "mail of patch 2"]),
        ("TREE", ["tree of patch 1"]),
        ("TREE", ["tree of patch 2"]),
        ("BUILD", ["build of patch 1"]),
        ("BUILD", ["build of patch 2"]),
    ]


def test_a_question_about_the_series_is_put_at_its_head_with_the_last_patch() -> None:
    found = plan([HEAD, TREE], TWO)
    assert [str(a.task) for a in found.batches[-1].asks] == ["head", "tree of patch 2"]
    assert found.batches[-1].commit == TWO.head == TWO.patches[-1].commit
    assert found.batches[-1].asks[0].subject.patch is None


def test_checks_of_one_patch_are_put_at_one_time() -> None:
    found = plan([TREE, Told("other")], series("a.c"))
    assert [len(batch.asks) for batch in found.batches] == [2]


def test_what_touches_none_of_the_wanted_paths_passes_unasked() -> None:
    found = plan([Told("rust", wants=("*.rs",)), Told("kdoc", wants=("net/*",))], series("net/core/dev.c"))
    assert [(str(task), said.state.value, said.text) for task, said in found.passed] == [
        ("rust of patch 1", "success", UNTOUCHED)
    ]
    assert [str(ask.task) for ask in found.asks] == ["kdoc of patch 1"]


def test_of_a_pull_request_only_checks_for_it_are_asked_and_only_once() -> None:
    found = plan([WHOLE, TREE, BUILD], series("a.c", pull="git://example.org/x tags/y"))
    assert [str(ask.task) for ask in found.asks] == ["build of patch 1"]
    assert dict(found.unasked) == {Task("whole"): NO_PULLS, Task("tree", 1): NO_PULLS}


def test_what_is_answered_already_is_not_asked_again() -> None:
    found = plan([TREE, MAIL], TWO, answered={Task("tree", 1), Task("mail", 2)})
    assert [str(task) for task in found.tasks] == ["mail of patch 1", "tree of patch 2"]


def test_a_lane_has_its_own_passed_and_unasked_alone() -> None:
    rust = Told("rust", wants=("*.rs",), needs=Needs.BUILD)
    assert plan([rust, MAIL], TWO, lanes=(Needs.MAIL, Needs.TREE)).tasks == (Task("mail", 1), Task("mail", 2))
    assert plan([rust, MAIL], TWO, lanes=(Needs.BUILD,)).tasks == (Task("rust", 1), Task("rust", 2))


def test_without_checks_there_is_nothing_to_do() -> None:
    assert plan([], TWO).tasks == ()
