"""Fixes: in series for a tree of fixes."""

import pytest

from services.executor.checks.base import Said
from services.executor.checks.fixes_present import FixesPresentConfig, said
from tests.services.executor.checks.subjects import DIFF, a_patch, a_series

HARMLESS = FixesPresentConfig().harmless
TAGGED = 'Why.\n\nFixes: 0123456789ab ("net: x")\nSigned-off-by: A <a@x>'


def asked(kind: str, *patches: dict[str, str]) -> Said:
    made = (a_patch(number, **facts) for number, facts in enumerate(patches, 1))
    return said(a_series(*made, kind=kind), HARMLESS)


@pytest.mark.parametrize(
    ("kind", "patches", "text"),
    [
        ("next", [{}], "Fixes tag not required for -next series"),
        ("fixes", [{}, {"message": TAGGED}], "Fixes tag present in non-next series"),
        ("fixes", [{"diff": DIFF.format("Documentation/x.rst")}], "No Fixes tags, but series doesn't touch code"),
        ("fixes", [{"diff": DIFF.format("MAINTAINERS")}], "No Fixes tags, but series doesn't touch code"),
    ],
)
def test_passes(kind: str, patches: list[dict[str, str]], text: str) -> None:
    answer = asked(kind, *patches)
    assert (answer.state, answer.text) == ("success", text)


@pytest.mark.parametrize(
    "patches",
    [
        [{}],
        [{"diff": DIFF.format("Documentation/x.rst")}, {}],
        [{"message": "Why.\n\nSigned-off-by: A <a@x>", "diff": DIFF.format("net/x.c") + "+Fixes: me\n"}],
        [{"message": "This Fixes: nothing."}],
    ],
)
def test_fails(patches: list[dict[str, str]]) -> None:
    answer = asked("fixes", *patches)
    text = "Series targets non-next tree, but doesn't contain any Fixes tags"
    assert (answer.state, answer.text) == ("fail", text)
