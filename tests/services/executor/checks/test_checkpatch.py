"""What checkpatch.pl prints, read."""

from dataclasses import replace

import pytest

from services.executor.cage.base import Ran
from services.executor.checks.base import Finding
from services.executor.checks.checkpatch import Checkpatch, CheckpatchConfig, findings, said
from shared.errors import InfraError
from tests.services.executor.checks.desks import a_desk
from tests.services.executor.checks.subjects import a_series

OUTPUT = """\
WARNING: Missing commit description - Add an appropriate one

CHECK: Alignment should match open parenthesis
#25: FILE: net/x.c:12:
+\tfoo(a,
+\tERROR: not one

ERROR: do not initialise statics to 0
#30: FILE: net/x.c:40:
+static int a = 0;

ERROR: do not initialise statics to 0
#31: FILE: net/x.c:41:
+static int b = 0;

WARNING: Possible repeated word: 'the'
#7:@
ERROR: not this

total: 2 errors, 2 warnings, 1 checks, 8 lines checked
""".replace("@", " ")


def test_findings() -> None:
    assert [one for _, one in findings(OUTPUT)] == [
        Finding("do not initialise statics to 0", "net/x.c", 40, "error"),
        Finding("do not initialise statics to 0", "net/x.c", 41, "error"),
        Finding("Missing commit description - Add an appropriate one"),
        Finding("Possible repeated word: 'the'"),
        Finding("Alignment should match open parenthesis", "net/x.c", 12, "note"),
    ]


def test_text_is_each_message_once() -> None:
    answer = said(OUTPUT)
    assert (answer.state, answer.counts) == ("fail", {"errors": 2, "warnings": 2, "checks": 1})
    assert answer.text == (
        "CHECK: Alignment should match open parenthesis; ERROR: do not initialise statics to 0; "
        "WARNING: Missing commit description - Add an appropriate one; WARNING: Possible repeated word: 'the'"
    )


@pytest.mark.parametrize(
    ("total", "state"),
    [
        ("total: 0 errors, 0 warnings, 0 checks, 8 lines checked", "success"),
        ("total: 0 errors, 0 warnings, 8 lines checked", "success"),
        ("total: 0 errors, 0 warnings, 1 checks, 8 lines checked", "warning"),
        ("total: 0 errors, 2 warnings, 0 checks, 8 lines checked", "warning"),
        ("total: 1 errors, 0 warnings, 0 checks, 8 lines checked", "fail"),
    ],
)
def test_state_is_by_the_total(total: str, state: str) -> None:
    answer = said(f"\n{total}\n")
    assert (answer.state, answer.text) == (state, total)


def test_a_total_in_the_patch_is_none() -> None:
    output = "ERROR: bad\n#1: FILE: x.c:1:\n+total: 0 errors, 0 warnings, 0 checks, 1 lines checked\n\n"
    assert said(f"{output}total: 1 errors, 0 warnings, 0 checks, 1 lines checked\n").state == "fail"


def test_options() -> None:
    unasked = "UNKNOWN_COMMIT_ID"
    assert CheckpatchConfig().options == ["--strict", "--codespell", "--max-line-length=80", f"--ignore={unasked}"]
    chosen = CheckpatchConfig(strict=False, dictionary="/d", line_length=100, ignore=("A", "B"))
    assert chosen.options == [
        "--codespell", "--max-line-length=100", "--codespellfile=/d", f"--ignore=A,B,{unasked}",
    ]  # fmt: skip


CUT = """\
WARNING: Possible unwrapped commit description (prefer a maximum 75 chars per line)
#8:@
total: 0 errors, 0 warnings, 0 checks, 9 lines checked

ERROR: trailing whitespace
#20: FILE: a.c:1:
+ $
""".replace("@", " ")


def test_output_that_was_cut_has_no_total() -> None:
    with pytest.raises(InfraError, match="no total"):
        said(CUT)
    with pytest.raises(InfraError, match="no total"):
        said("total: 0 errors, 0 warnings, 0 checks, 9 lines checked and more words\n")


def test_what_the_script_says_after_the_total_is_no_message() -> None:
    tail = "\nNOTE: For some of the reported defects, checkpatch may be able to\n      mechanically convert\n"
    assert said(f"{OUTPUT}{tail}\n/in/patch has style problems, please review.\n").state == "fail"


async def test_too_much_output_is_no_success() -> None:
    ran = Ran(0, f"{CUT}total: 0 errors, 0 warnings, 0 checks, 9 lines checked\n".encode(), ended="output")
    subject = a_series()
    answer = await Checkpatch().ask(replace(subject, patch=subject.patches[0]), a_desk(ran))
    assert (answer.state, answer.text, answer.cause) == ("warning", "checkpatch printed more than it may", "patch")


@pytest.mark.parametrize(("code", "errors"), [(1, 0), (255, 0), (0, 1)])
async def test_total_and_exit_code_agree(code: int, errors: int) -> None:
    ran = Ran(code, f"\ntotal: {errors} errors, 0 warnings, 0 checks, 9 lines checked\n".encode())
    subject = a_series()
    with pytest.raises(InfraError):
        await Checkpatch().ask(replace(subject, patch=subject.patches[0]), a_desk(ran))


def test_no_more_than_a_thousand_of_a_sort_are_kept() -> None:
    output = "".join(f"WARNING: {n}\n#{n}: FILE: a.c:1:\n\n" for n in range(5000)) + OUTPUT
    found = findings(output)
    assert [word for word, _ in found].count("WARNING") == 1000
    assert [word for word, _ in found].count("ERROR") == 2
    assert len(said(output).text) <= 2000
