"""Checks that look at the lines of a mail alone: inline, deprecated names. None of them needs a desk."""

from typing import Any

import pytest

from services.executor.checks.base import Needs, OurCheck, Patch, Said, Subject
from services.executor.checks.deprecated_api import DeprecatedApi, DeprecatedApiConfig
from services.executor.checks.header_inline import HeaderInline
from services.executor.checks.source_inline import SourceInline
from shared.formats.diff import changes
from shared.formats.mbox import parse_mail
from shared.model.results import CheckState

NO_DESK: Any = None


def a_patch(path: str, *lines: str) -> Subject:
    """A patch whose hunk has these lines."""
    old, new = sum(line[0] in "- " for line in lines), sum(line[0] in "+ " for line in lines)
    body = "".join(f"{line}\n" for line in lines)
    diff = f"diff --git a/{path} b/{path}\n--- a/{path}\n+++ b/{path}\n@@ -5,{old} +5,{new} @@\n{body}"
    mail = parse_mail(f"Message-ID: <a@b>\nFrom: A <a@b>\nSubject: [PATCH] x\n\n+inline\n---\n{diff}".encode())
    patch = Patch(1, mail, changes(mail.diff))
    return Subject("netdev", "x", (patch,), patch)


async def ask(check: OurCheck, path: str, *lines: str) -> Said:
    assert check.needs is Needs.MAIL
    return await check.ask(a_patch(path, *lines), NO_DESK)


# source_inline


@pytest.mark.parametrize(
    ("lines", "state", "text"),
    [
        (("+int a;",), CheckState.SUCCESS, "Was 0 now: 0"),
        (("+static inline int a(void)",), CheckState.FAIL, "Was 0 now: 1"),
        (("-static inline int a(int b)", "+static inline int a(void)"), CheckState.WARNING, "Was 1 now: 1"),
        (("-inline int a;", "-inline int b;", "+inline int c;"), CheckState.SUCCESS, "Was 2 now: 1"),
        (("-static inline int a(int b)",), CheckState.SUCCESS, "Was 1 now: 0"),
        (("+static inline",), CheckState.FAIL, "Was 0 now: 1"),
        (("+/* not inline */ int a;", "+ * inline", '+"inline"', "+int inline_a;"), CheckState.SUCCESS, "Was 0 now: 0"),
        (("+static __always_inline int a(void)",), CheckState.SUCCESS, "Was 0 now: 0"),
    ],
)
async def test_more_inline_in_c_files_fails(lines: tuple[str, ...], state: CheckState, text: str) -> None:
    said = await ask(SourceInline(), "net/x.c", *lines)
    assert (said.state, said.text) == (state, text)


async def test_inline_is_looked_for_in_c_files_only() -> None:
    assert (await ask(SourceInline(), "net/x.h", "+static inline int a(void)")).text == "Was 0 now: 0"


async def test_a_finding_says_where() -> None:
    said = await ask(SourceInline(), "net/x.c", " int a;", "+static inline int b(void)")
    (found,) = said.findings
    assert (found.path, found.line, found.context) == ("net/x.c", 6, ((6, "static inline int b(void)"),))


# header_inline

FINE = "No static functions without inline keyword in header files"


@pytest.mark.parametrize(
    "line",
    [
        "+static int a(void)", "+static struct sk_buff *a(int b)", "+static int a(int b,", "+int a(void) {",
        "+unsigned long long a(u8 b) {", "+static void __maybe_unused a(void)", "+u32 *a(void) {",
    ],
)  # fmt: skip
async def test_a_function_in_a_header_is_inline(line: str) -> None:
    said = await ask(HeaderInline(), "include/net/x.h", line)
    assert said.state is CheckState.FAIL
    assert said.text == "Detected static functions without inline keyword in header files: 1"


@pytest.mark.parametrize(
    "line",
    [
        "+static inline int a(void)", "+static __always_inline void a(void)", "+int a(void);",
        "+static const int a = B(1);", "+extern int a(void);", "+/* static int a(void) */", "-static int a(void)",
        " static int a(void)",
        "+static inline void a(void) {", "+\tint b = c(d) {", "+__always_inline void a(void) {", "+#define A(b) {",
    ],
)  # fmt: skip
async def test_what_is_no_such_function_is_left_alone(line: str) -> None:
    said = await ask(HeaderInline(), "include/net/x.h", line)
    assert (said.state, said.text) == (CheckState.SUCCESS, FINE)


async def test_each_line_counts_once_and_c_files_not_at_all() -> None:
    said = await ask(HeaderInline(), "x.h", "+static int a(void) {", "+}", "+static int b(void)")
    assert said.text.endswith("files: 2")
    assert (await ask(HeaderInline(), "x.c", "+static int a(void)")).text == FINE


# deprecated_api

NAMES = DeprecatedApi(
    DeprecatedApiConfig(
        errors=("module_param",), warnings=("dev_put(", "dev_hold("), warnings_below={"drivers/net/": ("__free(",)}
    )
)


@pytest.mark.parametrize(
    ("path", "lines", "state", "text"),
    [
        ("net/x.c", ("+int a;",), CheckState.SUCCESS, "None detected"),
        ("net/x.c", ("-\tdev_put(a);",), CheckState.SUCCESS, "None detected"),
        ("net/x.c", ("+\tdev_put(a);",), CheckState.WARNING, "Found: 'dev_put(' was: 0 now: 1"),
        ("net/x.c", ("-\tdev_put(a);", "+\tdev_put(b);"), CheckState.SUCCESS, "Found: 'dev_put(' was: 1 now: 1"),
        ("net/x.c", ("+\tnetdev_put(a);", "+\t/* dev_put(a) */"), CheckState.SUCCESS, "None detected"),
        ("net/x.c", ("+module_param_named(a, b, int, 0);",), CheckState.FAIL, "Found: 'module_param' was: 0 now: 1"),
        (
            "net/x.c", ("-module_param(a, int, 0);", "+module_param(a, int, 0444);"),
            CheckState.WARNING, "Found: 'module_param' was: 1 now: 1",
        ),
        ("drivers/net/x.c", ("+\tu8 *a __free(kfree);",), CheckState.WARNING, "Found: '__free(' was: 0 now: 1"),
        ("net/x.c", ("+\tu8 *a __free(kfree);",), CheckState.SUCCESS, "None detected"),
        ("Documentation/x.rst", ("+\tdev_put(a);",), CheckState.SUCCESS, "None detected"),
    ],
)  # fmt: skip
async def test_more_of_a_deprecated_name_is_told(
    path: str, lines: tuple[str, ...], state: CheckState, text: str
) -> None:
    said = await ask(NAMES, path, *lines)
    assert (said.state, said.text) == (state, text)


async def test_the_worst_of_all_names_wins_in_whatever_order() -> None:
    lines = ("+module_param(a, int, 0);", "+\tdev_put(a);", "-\tdev_hold(a);", "+\tdev_hold(b);")
    said = await ask(NAMES, "net/x.c", *lines)
    assert said.state is CheckState.FAIL
    assert said.text == (
        "Found: 'dev_put(' was: 0 now: 1; 'dev_hold(' was: 1 now: 1; 'module_param' was: 0 now: 1"
    )  # fmt: skip


async def test_without_names_nothing_is_detected() -> None:
    assert (await ask(DeprecatedApi(), "net/x.c", "+module_param(a, int, 0);")).text == "None detected"
