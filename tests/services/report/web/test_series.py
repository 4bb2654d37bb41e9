"""The sentence of a series, the command that fetches it, the comparison in shadow."""

from typing import Any

import pytest

from services.report.web.series import agrees, fetch_command, sentence


def a_series(**more: Any) -> dict[str, Any]:
    return {"state": "active", "reason": "", "revision": 1} | more


def an_outcome(**more: Any) -> dict[str, Any]:
    return {"revision": 1, "outcome": "applied", "tree": "net", "reason": "", "patch_number": None} | more


def a_verdict(context: str, state: str, settled: bool = True) -> dict[str, Any]:
    return {"context": context, "state": state, "settled": settled, "text": "words"}


@pytest.mark.parametrize(
    ("series", "outcomes", "verdicts", "text"),
    [
        (a_series(state="superseded", reason="v2 came"), [], [], "The series is superseded: v2 came."),
        (a_series(), [], [], "It has arrived, and waits to be applied to a tree."),
        (a_series(revision=2), [an_outcome()], [], "It has arrived, and waits to be applied to a tree."),
        (a_series(), [an_outcome(outcome="refused", reason="a link", patch_number=2)], [],
         "It is not applied at patch 2: a link."),
        (a_series(), [an_outcome()], [a_verdict("apply", "success")],
         "It applies to net, and waits for a branch and its results."),
        (a_series(), [an_outcome()], [a_verdict("contest", "success"), a_verdict("bpf", "fail", False)],
         "It applies to net; bpf is fail, which the next branch may change: words."),
    ],
)  # fmt: skip
def test_sentence(series: Any, outcomes: Any, verdicts: Any, text: str) -> None:
    assert sentence(series, outcomes, verdicts) == text


def test_the_command_is_quoted_and_gone_with_the_ref() -> None:
    applied = {"ref": "refs/tags/netci/a'b", "public_url": "https://x/y.git", "pruned": None}
    command = "git fetch https://x/y.git 'refs/tags/netci/a'\"'\"'b' && git checkout FETCH_HEAD"
    assert fetch_command(applied) == command
    assert fetch_command(applied | {"ref": ""}) == ""
    assert fetch_command(applied | {"pruned": "2026"}) == ""


@pytest.mark.parametrize(
    ("found", "state", "says"),
    [
        ("bot: success fine; other: fail 3 failed", "fail", True),
        ("bot: success fine", "fail", False),
        ("bot: success and: pending", "pending", False),
        ("", "fail", None),
    ],
)
def test_shadow_is_compared(found: str, state: str, says: bool | None) -> None:
    assert agrees({"mode": "shadow", "found": found, "state": state}) is says
    assert agrees({"mode": "on", "found": found, "state": state}) is None
