"""Only reading commands, only known options; what a mail may have put there is never taken for an option."""

import pytest

from services.executor.checking.questions import question
from shared.errors import Refused


@pytest.mark.parametrize(
    ("argv", "asked"),
    [
        (("log", "-1", "--format=%H %s", "abc"), ["log", "-1", "--format=%H %s", "--end-of-options", "abc"]),
        (("log", "-1", "--end-of-options", "abc", "--", "-p"), ["log", "-1", "--end-of-options", "abc", "--", "-p"]),
        (("rev-parse", "--verify", "--quiet", "a^{commit}"),
         ["rev-parse", "--verify", "--quiet", "--end-of-options", "a^{commit}"]),
        (("ls-tree", "-r", "--", "abc"), ["ls-tree", "-r", "--", "abc"]),
        (("merge-base", "--is-ancestor", "a", "--octopus"),
         ["merge-base", "--is-ancestor", "--end-of-options", "a", "--octopus"]),
        (("show", "-s"), ["show", "-s"]),
    ],
)  # fmt: skip
def test_names_stand_behind_the_end_of_options(argv: tuple[str, ...], asked: list[str]) -> None:
    assert question(argv) == asked


@pytest.mark.parametrize(
    "argv",
    [
        (), ("push", "origin"), ("-c", "core.pager=x", "log"), ("log", "--output=/etc/passwd"), ("show", "--ext-diff"),
        ("log", "--textconv"), ("cat-file", "--batch-all-objects"), ("rev-list", "--use-bitmap-index=x\nx"),
        ("diff-tree", "-O/etc/passwd", "a"), ("log", "-n1 --output=x"), ("show", "--output", "x"),
    ],
)  # fmt: skip
def test_anything_else_is_refused(argv: tuple[str, ...]) -> None:
    with pytest.raises(Refused):
        question(argv)
