"""Diffs: what honest ones change, as git sees it, and every trick that must not pass."""

import subprocess
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.formats.diff import DiffLimits, changes, faults
from shared.formats.mbox import parse_mail, split_mbox
from shared.model.mails import ChangeKind, FileChange

MAILBOXES = Path(__file__).parents[2] / "golden" / "patchwork" / "mbox"
HUNK = "@@ -1 +1 @@\n-a\n+b\n"


def a_diff(old: str = "a/net/x.c", new: str = "b/net/x.c", extended: str = "", hunk: str = HUNK) -> str:
    names = f"--- {old}\n+++ {new}\n" if hunk else ""
    return f"diff --git {old} {new}\n{extended}{names}{hunk}"


def rules(diff: str | bytes, limits: DiffLimits | None = None) -> set[str]:
    return {fault.rule for fault in faults(diff, limits)}


def recorded() -> list[tuple[str, str]]:
    mails = [parse_mail(raw) for path in sorted(MAILBOXES.glob("*.mbox")) for raw in split_mbox(path.read_bytes())]
    return [(mail.message_id, mail.diff) for mail in mails if mail.diff]


# What a diff changes.


def test_recorded_diffs_are_read_as_git_reads_them() -> None:
    sound = [diff for _, diff in recorded() if not faults(diff)]
    together = "".join(diff if diff.endswith("\n") else diff + "\n" for diff in sound)
    run = subprocess.run(["git", "apply", "--numstat", "-"], input=together.encode(), capture_output=True, check=True)
    wanted = [line.split("\t") for line in run.stdout.decode().splitlines()]
    found = [[str(change.added), str(change.removed), change.path] for diff in sound for change in changes(diff)]
    assert found == wanted
    assert len(sound) == 210


def test_recorded_faults() -> None:
    bad = {message_id.split("-")[0]: {fault.rule for fault in faults(diff)} for message_id, diff in recorded()}
    assert {key: value for key, value in bad.items() if value} == {"cut": {"hunk"}, "wrap": {"hunk"}}


@pytest.mark.parametrize(
    ("diff", "change"),
    [
        (a_diff(), FileChange("net/x.c", ChangeKind.MODIFY, added=1, removed=1)),
        (
            a_diff(extended="index 1234567..89abcde 100755\n"),
            FileChange("net/x.c", ChangeKind.MODIFY, "", "100755", "100755", 1, 1),
        ),
        (
            "diff --git a/x b/x\nnew file mode 100644\nindex 0..1\n--- /dev/null\n+++ b/x\n@@ -0,0 +1,2 @@\n+a\n+b\n",
            FileChange("x", ChangeKind.ADD, new_mode="100644", added=2),
        ),
        (
            "diff --git a/x b/x\ndeleted file mode 100644\n--- a/x\n+++ /dev/null\n@@ -1 +0,0 @@\n-a\n",
            FileChange("x", ChangeKind.DELETE, old_mode="100644", removed=1),
        ),
        (
            "diff --git a/x b/y z\nsimilarity index 90%\nrename from x\nrename to y z\n",
            FileChange("y z", ChangeKind.RENAME, "x"),
        ),
        (
            "diff --git a/x b/y\nsimilarity index 90%\ncopy from x\ncopy to y\n--- a/x\n+++ b/y\n" + HUNK,
            FileChange("y", ChangeKind.COPY, "x", added=1, removed=1),
        ),
        (
            "diff --git a/x y b/x y\nold mode 100644\nnew mode 100755\n",
            FileChange("x y", ChangeKind.MODE, "", "100644", "100755"),
        ),
        (
            "diff --git a/x b/x\nindex 1..2\nBinary files a/x and b/x differ\n",
            FileChange("x", ChangeKind.MODIFY, binary=True),
        ),
        (
            'diff --git "a/caf\\303\\251" "b/caf\\303\\251"\n--- "a/caf\\303\\251"\n+++ "b/caf\\303\\251"\n' + HUNK,
            FileChange("café", ChangeKind.MODIFY, added=1, removed=1),
        ),
        ("--- a/x\t2026-01-01\n+++ b/x\t2026-01-02\n" + HUNK, FileChange("x", ChangeKind.MODIFY, added=1, removed=1)),
    ],
)
def test_change(diff: str, change: FileChange) -> None:
    assert changes(diff) == (change,)


def test_headers_inside_a_hunk_are_text() -> None:
    inside = "".join(f" {line}\n" for line in a_diff("a/evil", "b/evil").splitlines())
    diff = a_diff(hunk=f"@@ -1,{inside.count(chr(10))} +1,{inside.count(chr(10)) + 1} @@\n{inside}+b\n")
    assert [change.path for change in changes(diff)] == ["net/x.c"]
    assert not faults(diff)


def test_text_around_files_belongs_to_none() -> None:
    diff = f"Index: x\n=====\n{a_diff()}-- \n2.39.2\n\n{a_diff('a/y', 'b/y')}\n-----BEGIN PGP SIGNATURE-----\nabc\n"
    assert [change.path for change in changes(diff)] == ["net/x.c", "y"]
    assert not faults(diff)


def test_no_newline_and_stripped_context_are_honest() -> None:
    assert not faults(
        a_diff(hunk="@@ -1,2 +1,2 @@\n\n-a\n\\ No newline at end of file\n+b\n\\ No newline at end of file\n")
    )


def test_no_diff_has_no_faults() -> None:
    assert faults("") == ()
    assert faults("just words\nand 12 more\n") == ()


# What must not pass.


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("../etc/passwd", "dots-path"),
        ("net/../../x", "dots-path"),
        ("./x", "dots-path"),
        ("net//x", "dots-path"),
        (".git/config", "git-path"),
        (".GIT/config", "git-path"),
        ("net/.git/hooks/post-checkout", "git-path"),
        (".git /config", "git-path"),
        (".git. ./config", "git-path"),
        ("git~1/config", "git-path"),
        ("GIT~1/config", "git-path"),
        (".git::$INDEX_ALLOCATION/config", "git-path"),
        (".g\u200cit/config", "git-path"),
        (".gitmodules", "git-path"),
        ("x\ry", "control-path"),
        ("x\x1b[2Jy", "control-path"),
        ("x\u202ey", "control-path"),
        ("net\\x", "backslash-path"),
        ("x" * 300, "long-path"),
        ("x/" * 2100 + "y", "long-path"),
    ],
)
@pytest.mark.parametrize("form", ["git", "rename", "traditional"])
def test_path_that_must_not_pass(name: str, rule: str, form: str) -> None:
    diff = {
        "git": a_diff(f"a/{name}", f"b/{name}"),
        "rename": f"diff --git a/x b/{name}\nsimilarity index 100%\nrename from x\nrename to {name}\n",
        "traditional": f"--- a/{name}\n+++ b/{name}\n{HUNK}",
    }[form]
    assert rule in rules(diff)


@pytest.mark.parametrize(
    ("diff", "rule"),
    [
        (a_diff("/etc/passwd", "/etc/passwd"), "absolute-path"),
        (f"--- a/x\n+++ /etc/passwd\n{HUNK}", "absolute-path"),
        (f'diff --git "a/x" "b/x"\n--- "a/x"\n+++ "b/x"\n{HUNK}', "quoted-path"),
        (f'diff --git a/x b/x\n--- a/x\n+++ "b/\\056\\056/y"\n{HUNK}', "dots-path"),
        ('diff --git a/x b/x\nrename from x\nrename to "/etc/x"\n', "absolute-path"),
        (a_diff("x.c", "x.c"), "path"),
        ("diff --git \nnew file mode 100644\n", "path"),
        (a_diff(extended="new file mode 120000\n"), "symlink"),
        (a_diff(extended="index 1234567..89abcde 120000\n"), "symlink"),
        (a_diff(extended="old mode 100644\nnew mode 120000\n"), "symlink"),
        (a_diff(extended="new file mode 160000\n"), "submodule"),
        (a_diff(extended="index 1234567..89abcde 160000\n"), "submodule"),
        (a_diff(extended="new file mode 104755\n"), "mode"),
        (a_diff(extended="new file mode \n"), "mode"),
        (a_diff(extended="new file mode 100644\nnew file mode 120000\n"), "headers"),
        (a_diff("a/x", "b/y"), "names"),
        (f"diff --git a/x b/x\n--- a/x\n+++ b/y\n{HUNK}", "names"),
        (f"diff --git a/x b/x\n--- a/y\n+++ b/y\n{HUNK}", "names"),
        ("diff --git a/x b/y\nrename from x\nrename to z\n", "names"),
        (f"--- a/x\n+++ b/y\n{HUNK}", "names"),
        (f"--- /dev/null\n+++ /dev/null\n{HUNK}", "names"),
        (f"diff --git a/x b/x\r\n--- a/x\n+++ b/x\n{HUNK}", "crlf"),
        (f"diff --git a/x b/x\n--- a/x\r\n+++ b/x\r\n{HUNK}", "crlf"),
        (a_diff(extended="new file mode 100644\r\n"), "crlf"),
        (a_diff(hunk="@@ -1,2 +1 @@\n-a\n+b\n"), "hunk"),
        (a_diff(hunk="@@ -1 +1 @@\n-a\n+b\n+c\n"), "hunk"),
        (a_diff(hunk="@@ -1 +1 @@\n-a\n+b\n-c\n"), "hunk"),
        (a_diff(hunk="@@ -1,3 +1,3 @@\n a\n"), "hunk"),
        (a_diff(hunk="@@ -1,9 +1,9 @@\n-a\n+b\ndiff --git a/y b/y\n"), "hunk"),
        (a_diff(hunk="@@ -x +1 @@\n-a\n+b\n"), "hunk"),
        ("@@ -1 +1 @@\n-a\n+b\n", "hunk"),
        ("--- a/x\n+++ b/x\n1,2d\n", "ed-script"),
        ("Index: x\n0a\n!touch /tmp/x\n.\n", "ed-script"),
        ("*** a/x\n--- b/x\n***************\n*** 1 ****\n! a\n", "context-diff"),
        ("diff --git a/x b/x\nindex 1..2\nGIT binary patch\nliteral 1\nIcmZ\n\nliteral 0\nHcmV\n\n", "binary"),
        ("diff --git a/x b/x\nBinary files a/x and b/x differ\n", "binary"),
        ("diff --git a/x b/x\nindex 1..2\n", "empty"),
        (a_diff() + "\0", "nul"),
        ("x" * (65 << 10), "line"),
        ("+" * (10 << 20), "line"),
        ("x\n" * (6 << 20), "size"),
        ("\n" * (2 << 20), "size"),
    ],
)
def test_trick(diff: str, rule: str) -> None:
    assert rule in rules(diff)
    assert rule in rules(diff.encode())


def test_fault_names_its_line_and_rule_in_words() -> None:
    (fault,) = faults("text\n" + a_diff(extended="new file mode 120000\n"))
    assert (fault.rule, fault.line, fault.text) == ("symlink", 3, "symbolic link")


def test_bytes_that_are_no_utf8_are_fine_in_content_and_not_in_names() -> None:
    assert not rules(a_diff().encode().replace(b"+b", b"+\xe9"))
    assert "control-path" in rules(a_diff().encode().replace(b"x.c", b"\xe9"))


def test_limits_are_the_callers() -> None:
    assert rules(a_diff(), DiffLimits(size=10)) == {"size"}
    assert rules(a_diff() + a_diff("a/y", "b/y"), DiffLimits(files=1)) == {"files"}
    assert not rules("diff --git a/x b/x\nBinary files a/x and b/x differ\n", DiffLimits(binary=True))


def test_honest_names_that_look_like_tricks() -> None:
    for name in (".gitignore", ".gitattributes", "git~12", "gitk/x", "a/..b", "...", "x.git/y", "Документ", "a b"):
        assert not faults(a_diff(f"a/{name}", f"b/{name}")), name


PIECES = [
    "diff --git a/x b/x\n", "diff --git ", "--- a/x\n", "+++ b/x\n", "+++ /dev/null\n", "@@ -1 +1 @@\n",
    "@@ -1,3 +0,0 @@\n", "-a\n", "+b\n", " c\n", "\\ No newline\n", "new file mode 100644\n", "rename from x\n",
    "rename to y\n", "index 1..2 120000\n", "GIT binary patch\n", "literal 3\n", "Binary files ", '"a/\\3', '\\"',
    "\r", "\0", "\n", "-- \n", "1d\n", "\udcff", "/",
]  # fmt: skip


@given(st.lists(st.sampled_from(PIECES) | st.text(max_size=5), max_size=50).map("".join))
def test_any_text_is_read(text: str) -> None:
    found = faults(text)
    assert len(found) <= 50
    for change in changes(text):
        change.path.encode()
        assert "\0" not in change.path


@given(st.binary(max_size=300))
def test_any_bytes_are_read(raw: bytes) -> None:
    faults(raw)
    changes(raw.decode("utf-8", "replace"))


HONEST = (
    "text\n" + a_diff() + a_diff("a/y", "b/y", hunk="@@ -1,2 +1,3 @@ f\n a\n+b\n+c\n-d\n@@ -9 +10 @@\n-e\n+f\n")
    + "diff --git a/p b/q\nsimilarity index 100%\nrename from p\nrename to q\n-- \n2.39\n"
).splitlines(keepends=True)  # fmt: skip
edits = st.tuples(st.sampled_from(["drop", "double", "swap", "insert"]), st.integers(0, 99), st.integers(0, 99))


def edited(lines: list[str], how: str, at: int, other: int) -> list[str]:
    at, other = at % len(lines), other % len(lines)
    match how:
        case "drop":
            return lines[:at] + lines[at + 1 :] or lines
        case "double":
            return [*lines[:at], lines[other], *lines[at:]]
        case "swap":
            return [lines[other] if n == at else lines[at] if n == other else line for n, line in enumerate(lines)]
        case _:
            return [*lines[:at], PIECES[other % 20], *lines[at:]]


@given(st.lists(edits, max_size=4))
def test_git_touches_nothing_that_was_not_judged(found: list[tuple[str, int, int]]) -> None:
    """Whatever git would touch in a diff that passed, `changes` has named."""
    lines = HONEST
    for edit in found:
        lines = edited(lines, *edit)
    text = "".join(lines)
    if faults(text, DiffLimits(binary=True)):
        return
    run = subprocess.run(["git", "apply", "--numstat", "-"], input=text.encode(), capture_output=True, check=False)
    touched = [line.split("\t", 2)[2] for line in run.stdout.decode().splitlines()]
    named = [change.path for change in changes(text)]
    assert run.returncode != 0 or touched == named


def test_hostile_sizes_take_linear_time() -> None:
    begin = time.process_time()
    limits = DiffLimits(line=1 << 30)
    for piece in (
        "diff --git a/x b/x\n",
        "@@ -1 +1 @@\n",
        '"',
        "\\",
        ". ",
        "b/ ",
        ".git:",
        "--- a/x\n+++ b/x\n@@ -1 +1 @@\n",
    ):
        faults(piece * 30_000, limits)
        faults(f"diff --git {piece * 10_000} {piece * 10_000}\n", limits)
    assert time.process_time() - begin < 20
