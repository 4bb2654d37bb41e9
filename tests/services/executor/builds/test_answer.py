"""What is said of a comparison."""

from dataclasses import replace
from typing import Any, cast

from services.executor.builds.answer import answer, changed_rules, text, with_sources
from services.executor.builds.compare import Comparison, Found
from services.executor.builds.diagnostics import Diagnostic
from services.executor.builds.recipe import Recipe
from services.executor.checks.base import Desk, Patch, Subject
from shared.model.ids import Sha
from shared.model.mails import ChangeKind, FileChange
from shared.model.results import Cause, CheckState

RECIPE = Recipe("x", seconds=60)
X = Found(Diagnostic("unused", "net/a.c", 5, 1), 3)
OLD = Found(Diagnostic("old", "net/a.c", 9, 1))


def test_the_line_is_nipas() -> None:
    assert text(Comparison(3, 3)) == "Errors and warnings before: 3 this patch: 3"
    assert text(Comparison(3, 4, (X,))) == "Errors and warnings before: 3 this patch: 4"
    assert text(Comparison(3, 3, (X,))) == "Errors and warnings before: 3 this patch: 3; new: 1"
    assert text(Comparison(0, 2, (X, X), built=False)) == "Errors and warnings before: 0 this patch: 2; does not build"
    with_products = Comparison(3, 4, untracked_before=1, untracked=2)
    assert text(with_products, True) == "Errors and warnings before: 3 (+1) this patch: 4 (+2)"


def test_what_is_new_fails_and_comes_first() -> None:
    said = answer(Comparison(1, 2, (X,), (OLD,), log="all of it"), RECIPE)
    assert said.state is CheckState.FAIL
    assert [(one.text, one.line, one.new) for one in said.findings] == [
        ("unused (in 3 objects)", 5, True),
        ("old", 9, False),
    ]
    assert said.log == "all of it"
    assert said.counts["before"] == 1


def test_what_stood_there_passes() -> None:
    assert answer(Comparison(1, 1, (), (OLD,)), RECIPE).state is CheckState.SUCCESS


def test_a_file_that_git_does_not_ignore_fails() -> None:
    said = answer(Comparison(untracked=1, fresh=("tools/x",)), replace(RECIPE, products="kselftest"))
    assert said.state is CheckState.FAIL
    assert said.findings[0].path == "tools/x"


def test_a_base_that_is_broken_is_not_the_patchs_fault() -> None:
    said = answer(Comparison(1, 1, built=False, parent_built=False, base_built=False), RECIPE)
    assert said.state is CheckState.SUCCESS
    assert "base does not build" in said.notes[0]


def test_a_series_that_is_broken_already_fails_and_says_so() -> None:
    said = answer(Comparison(1, 1, built=False, parent_built=False), RECIPE)
    assert said.state is CheckState.FAIL
    assert "earlier patch" in said.notes[0]


def test_limits_are_told_as_what_they_are() -> None:
    said = answer(Comparison(said="printed more than it may", built=False), RECIPE)
    assert (said.state, said.text, said.cause) == (CheckState.FAIL, "The build printed more than it may", None)
    late = answer(Comparison(said="took longer than it may", timed_out=True, built=False), RECIPE)
    assert (late.state, late.text, late.cause) == (CheckState.WARNING, "took longer than 60 s", Cause.TIMEOUT)


def test_a_series_that_changes_the_rules_of_building_is_told_so() -> None:
    change = FileChange(path="scripts/Makefile.build", kind=ChangeKind.MODIFY)
    other = FileChange(path="drivers/net/Makefile", kind=ChangeKind.MODIFY)
    subject = Subject("p", "t", (Patch(1, cast(Any, None), (change, other)),))
    assert changed_rules(subject) == ("scripts/Makefile.build",)
    assert "scripts/Makefile.build" in answer(Comparison(), RECIPE, changed_rules(subject)).notes[0]


class Sources:
    async def read(self, commit: Sha, path: str) -> bytes | None:
        return b"".join(b"%d\n" % n for n in range(1, 8)) if path == "net/a.c" else None


async def test_new_messages_are_shown_in_their_source() -> None:
    missing = Found(Diagnostic("gone", "net/none.c", 1))
    said = answer(Comparison(1, 2, (X, missing), (OLD,)), RECIPE)
    first, second, third = (await with_sources(said, Sha("0" * 40), cast(Desk, Sources()))).findings
    assert first.context == ((2, "2"), (3, "3"), (4, "4"), (5, "5"), (6, "6"), (7, "7"))
    assert (second.context, third.context) == ((), ())
