"""What checks that read text have in common: code without comments, remarks as sets, files of a patch, lists."""

import pytest

from services.executor.checks.base import Patch
from services.executor.lint.changed import Touched, named, touched
from services.executor.lint.code import code_of
from services.executor.lint.compare import Remark, difference
from services.executor.lint.devicetree import remarks
from services.executor.lint.selftests import (
    config_remarks,
    gitignore_remarks,
    ignored,
    is_program,
    listed,
    makefile_remarks,
)
from shared.formats.diff import changes
from shared.formats.mbox import parse_mail

# Code.


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("int a; /* inline */", "int a;  "),
        ("/* inline", " "),
        (" * inline data", ""),
        (" */", ""),
        ("*p = inline_it;", "*p = inline_it;"),
        ('pr_info("inline // %s");', 'pr_info("");'),
        ("x = '\"'; // inline", 'x = "";  '),
    ],
)
def test_words_in_comments_and_strings_are_no_code(line: str, code: str) -> None:
    assert code_of(line) == code


# Remarks before and after.


def remark(text: str, line: int | None = 1, path: str = "a.sh", level: str = "warning", code: str = "X1") -> Remark:
    return Remark(path, line, level, code, text)


def test_what_moved_is_not_new() -> None:
    found = difference([remark("unused on line 3", 3)], [remark("unused on line 33", 33)])
    assert (found.new, found.gone) == ((), ())
    assert found.kept == (remark("unused on line 33", 33),)


def test_one_in_the_place_of_another_is_new_though_there_are_as_many() -> None:
    found = difference([remark("unused a")], [remark("unused b")])
    assert (found.new, found.gone) == ((remark("unused b"),), (remark("unused a"),))


def test_of_one_sort_those_on_written_lines_are_the_new_ones() -> None:
    after = [remark("no docstring", line) for line in (10, 20, 30)]
    found = difference([remark("no docstring", 10), remark("no docstring", 22)], after, {"a.sh": {20}})
    assert found.new == (remark("no docstring", 20),)
    assert found.kept == (remark("no docstring", 10), remark("no docstring", 30))


def test_files_levels_and_codes_are_told_apart() -> None:
    before = [remark("x"), remark("x", path="b.sh"), remark("x", level="error"), remark("x", code="X2")]
    for one in before:
        others = [other for other in before if other != one]
        assert difference(others, before).new == (one,)


def test_numbers_that_are_no_positions_count() -> None:
    assert difference([remark("line too long (83 > 80)")], [remark("line too long (90 > 80)")]).new


# Files of a patch.

MAIL = """\
Message-ID: <a@b>
Subject: [PATCH] x
From: A <a@b>

diff --git a/new.sh b/new.sh
new file mode 100755
--- /dev/null
+++ b/new.sh
@@ -0,0 +1 @@
+true
diff --git a/old.sh b/old.sh
deleted file mode 100755
--- a/old.sh
+++ /dev/null
@@ -1 +0,0 @@
-true
diff --git a/a.sh b/t/b.sh
similarity index 90%
rename from a.sh
rename to t/b.sh
diff --git a/c.sh b/d.sh
similarity index 100%
copy from c.sh
copy to d.sh
diff --git a/link.sh b/link.sh
new file mode 120000
--- /dev/null
+++ b/link.sh
@@ -0,0 +1 @@
+/etc/passwd
\\ No newline at end of file
diff --git a/x.py b/x.py
--- a/x.py
+++ b/x.py
@@ -1 +1 @@
-a
+b
"""


def test_a_linter_is_shown_what_is_left_with_other_content() -> None:
    mail = parse_mail(MAIL.encode())
    patch = Patch(1, mail, changes(mail.diff))
    assert touched(patch, ".sh") == (Touched("new.sh", ""), Touched("t/b.sh", "a.sh"), Touched("d.sh", ""))
    assert touched(patch, ".py") == (Touched("x.py", "x.py"),)
    assert touched(patch, ".yaml") == ()


def test_a_file_is_named_so_that_it_is_no_option() -> None:
    file = Touched("t/--help.sh", "")
    assert (file.folder, file.name) == ("t", "./--help.sh")


def test_configurations_are_known_by_their_base_name() -> None:
    assert named(("a/.yamllint", "yamllint", "b.yamllint"), (".yamllint",)) == ("a/.yamllint",)


# Lists.


def texts(found: list[Remark]) -> list[str]:
    return [f"{one.line}: {one.text}" for one in found]


def test_options_of_a_config_are_sorted_without_their_underscores() -> None:
    assert config_remarks("config", "CONFIG_A=y\n# CONFIG_0\nCONFIG_A_B=y\nCONFIG_AC=m\n") == []
    assert texts(config_remarks("config", "CONFIG_B=y\nCONFIG_A=y\n")) == [
        "2: CONFIG_A=y should stand before CONFIG_B=y"
    ]


def test_names_of_a_gitignore_are_sorted_but_for_exceptions() -> None:
    assert gitignore_remarks(".gitignore", "# x\na\n!Makefile\n/b\nc*\n") == []
    assert texts(gitignore_remarks(".gitignore", "b\na\n")) == ["2: a should stand before b"]


GOOD = """\
TEST_PROGS := \\
\ta.sh \\
\tb.sh \\
\tdir/a.sh \\
# end of TEST_PROGS

CFLAGS += -I../../../../usr/include/ -Wall
TEST_GEN_FILES := $(patsubst %.c,%.o,$(wildcard *.bpf.c))
ifeq ($(X),y)
TEST_PROGS += c.sh d.sh
endif
include ../lib.mk
"""


def test_a_list_of_one_item_a_line_with_a_comment_at_its_end_is_good() -> None:
    assert makefile_remarks("Makefile", GOOD) == []
    assert makefile_remarks("Makefile", "TEST_PROGS := a.sh\n") == []
    assert makefile_remarks("Makefile", "TEST_PROGS := a.sh\n\ninclude ../lib.mk\n") == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("TEST_PROGS := a.sh b.sh\n", ["1: more than one item in a line: a.sh b.sh"]),
        ("T_P := \\\n\tb.sh \\\n\ta.sh \\\n#\n", ["3: a.sh should stand before b.sh"]),
        ("T_P := \\\n\ta.sh \\\n\tb.sh\n", ["3: the list should end with a comment: # T_P"]),
        ("T_P := \\\n\ta.sh \\\n\tb.sh \\\n# end of other\n", ["4: the comment at the end should name T_P"]),
        ("T_P := \\\n    a.sh \\\n#\n", ["2: a.sh \\ should be indented with a tab"]),
        ("T_P := \\\n\td/a.sh \\\n\tb.sh \\\n#\n", ["3: b.sh should stand before d/a.sh"]),
    ],
)
def test_each_disorder_of_a_list_is_told(text: str, words: list[str]) -> None:
    assert texts(makefile_remarks("Makefile", text)) == words


def test_a_second_block_is_told() -> None:
    text = "TEST_PROGS := a.sh\n\nOTHERS := x\n\nTEST_PROGS += b.sh\n"
    assert "5: TEST_PROGS is assigned in more than one block" in texts(makefile_remarks("Makefile", text))


def test_a_makefile_lists_whole_names() -> None:
    makefile = "TEST_PROGS := my-tls.sh tls.sh\nTEST_GEN_FILES := big\n$(OUTPUT)/big: big.c part.c\n"
    assert listed(makefile, "tls.sh")
    assert not listed(makefile, "ls.sh")
    assert not listed("TEST_PROGS := my-tls.sh", "tls.sh")
    assert is_program(makefile, "big")
    assert not is_program(makefile, "part")
    assert is_program(makefile, "unheard_of")


def test_a_gitignore_covers_names_and_globs() -> None:
    assert ignored("# tls\n/tls\n*.o\nreuse*\n", "tls")
    assert ignored("reuse*\n", "reuseport")
    assert not ignored("# tls\n!tls\ntls2\n", "tls")


# Device trees.


def test_what_make_says_of_itself_is_no_issue() -> None:
    said = (
        b"make[1]: Entering directory '/tmp/out'\n\n"
        b"/src/Documentation/devicetree/bindings/net/x.yaml:12:3: [warning] wrong indentation (indentation)\n"
        b"/tmp/out/arch/arm/boot/dts/a.dtb: ethernet@0: 'x' does not match\n"
        b"\tFrom schema: /src/Documentation/devicetree/bindings/net/x.yaml\n"
    )
    found = remarks(said)
    assert [(one.path, one.line) for one in found] == [
        ("Documentation/devicetree/bindings/net/x.yaml", 12), ("arch/arm/boot/dts/a.dtb", None),
    ]  # fmt: skip
    assert found[1].text.endswith("does not match\n\tFrom schema: Documentation/devicetree/bindings/net/x.yaml")
