"""What a patch makes of its tools is said of the patch: a gate waits for an answer."""

from dataclasses import replace
from typing import cast

import pytest

from services.executor.cage.base import Ending, Ran
from services.executor.checks.base import OurCheck
from services.executor.checks.cc_maintainers import CcMaintainers
from services.executor.checks.checkpatch import Checkpatch
from services.executor.checks.kdoc import Kdoc
from services.executor.checks.signed import Signed
from shared.errors import InfraError
from tests.services.executor.checks.desks import _Desk, a_desk
from tests.services.executor.checks.subjects import NEW, a_patch, a_series

TOOLS = [(Checkpatch, "checkpatch"), (Kdoc, "kernel-doc"), (CcMaintainers, "get_maintainer.pl"), (Signed, "patatt")]
SUBJECT = replace(a_series(), patch=a_patch())


@pytest.mark.parametrize(("check", "tool"), TOOLS)
@pytest.mark.parametrize(
    ("ending", "cause", "words"),
    [
        ("time", "timeout", "took longer than it may"),
        ("output", "patch", "printed more than it may"),
        ("memory", "patch", "used more memory than it may"),
    ],
)
async def test_a_limit_is_an_answer(check: type[OurCheck], tool: str, ending: Ending, cause: str, words: str) -> None:
    said = await check().ask(SUBJECT, a_desk(Ran(137, ended=ending, merged=b"so far")))
    assert (said.state, said.text, said.cause, said.log) == ("warning", f"{tool} {words}", cause, "so far")


@pytest.mark.parametrize(("check", "tool"), TOOLS)
async def test_who_was_killed_says_nothing(check: type[OurCheck], tool: str) -> None:
    with pytest.raises(InfraError, match=f"{tool} was killed"):
        await check().ask(SUBJECT, a_desk(Ran(137, ended="killed")))


async def test_a_file_is_no_option_of_kernel_doc() -> None:
    desk = a_desk(Ran(0))
    await Kdoc().ask(replace(SUBJECT, patch=a_patch(diff=NEW.format("-man.c"))), desk)
    assert [argv[-1] for argv in cast(_Desk, desk).argv] == ["./-man.c"]
