"""Changed lines of a diff: which, where, and what only looks like one."""

import subprocess
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from shared.formats.diff_lines import Changed, changed_lines
from shared.formats.mbox import parse_mail, split_mbox

MAILBOXES = Path(__file__).parents[2] / "golden" / "patchwork" / "mbox"

DIFF = """\
 net/x.c | 3 ++-
+ not a change
diff --git a/net/x.c b/net/x.c
index 1..2 100644
--- a/net/x.c
+++ b/net/x.c
@@ -3,4 +3,4 @@ static int a;
 int b;
--- int c;
+++ int c;
 int d;

@@ -90 +90,2 @@
 int e;
+int f;
--\x20
2.39.5
"""


def test_lines_have_the_numbers_of_their_file() -> None:
    assert list(changed_lines(DIFF)) == [
        Changed("net/x.c", 4, False, "-- int c;"),
        Changed("net/x.c", 4, True, "++ int c;"),
        Changed("net/x.c", 91, True, "int f;"),
    ]


def test_a_new_file_has_no_old_name_and_a_deleted_one_no_new_one() -> None:
    new = "--- /dev/null\n+++ b/new.c\n@@ -0,0 +1 @@\n+int a;\n"
    gone = "--- a/old.c\n+++ /dev/null\n@@ -1 +0,0 @@\n-int a;\n"
    assert list(changed_lines(new + gone)) == [
        Changed("new.c", 1, True, "int a;"),
        Changed("old.c", 1, False, "int a;"),
    ]


def test_a_renamed_file_loses_lines_under_its_old_name() -> None:
    diff = "rename from a.c\nrename to b.c\n--- a/a.c\n+++ b/b.c\n@@ -1 +1 @@\n-x\n+y\n"
    assert [(one.path, one.added) for one in changed_lines(diff)] == [("a.c", False), ("b.c", True)]


def test_quoted_names_and_dates_are_understood() -> None:
    diff = '--- "a/caf\\303\\251.c"\n+++ b/x.c\t2026-11-01 10:00:00\n@@ -1 +1 @@\n-x\n+y\n'
    assert [one.path for one in changed_lines(diff)] == ["café.c", "x.c"]


def test_recorded_diffs_have_as_many_lines_as_git_counts() -> None:
    mails = [parse_mail(raw) for path in sorted(MAILBOXES.glob("*.mbox")) for raw in split_mbox(path.read_bytes())]
    diffs = [mail.diff for mail in mails if mail.diff]
    assert diffs
    for diff in diffs:
        ran = subprocess.run(["git", "apply", "--numstat", "-"], input=diff.encode(), capture_output=True, check=False)
        if ran.returncode:
            continue
        counts = [line.split("\t")[:2] for line in ran.stdout.decode().splitlines()]
        found = list(changed_lines(diff))
        assert sum(one.added for one in found) == sum(int(added) for added, _ in counts if added != "-")
        assert sum(not one.added for one in found) == sum(int(gone) for _, gone in counts if gone != "-")


@given(st.text(alphabet="+- @,\n0123456789ab/\\"))
def test_no_text_is_too_odd(diff: str) -> None:
    for one in changed_lines("--- a/x\n+++ b/x\n" + diff):
        assert one.number >= 0
