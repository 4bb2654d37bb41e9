"""What builds print, read: units and messages, of every tool that prints some."""

from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.executor.builds.diagnostics import Diagnostic, mirrored, path_of, quiet, read, read_as, unit_of

GCC = """\
  CC [M]  drivers/net/netdevsim/dev.o
  CHECK   /src/drivers/net/netdevsim/fib.c
In file included from /src/include/linux/kernel.h:20,
                 from /src/drivers/net/netdevsim/dev.c:18:
/src/drivers/net/netdevsim/dev.c: In function 'nsim_foo':
/src/drivers/net/netdevsim/dev.c:1792:13: warning: unused variable 'x' [-Wunused-variable]
 1792 |         int x = 1;
      |             ^
/src/drivers/net/netdevsim/dev.c:1795:2: error: implicit declaration of function 'nsim_bar'
 1795 |         nsim_bar();
      |         ^~~~~~~~
/src/drivers/net/netdevsim/dev.c:12:2: note: did you mean this
cc1: some warnings being treated as errors
make[5]: *** [/src/scripts/Makefile.build:250: drivers/net/netdevsim/dev.o] Error 1
make[5]: Target 'drivers/net/netdevsim/' not remade because of errors.
make: *** [Makefile:238: __sub-make] Error 2
"""

SPARSE = """\
  CHECK   /src/drivers/net/netdevsim/dev.c
/src/drivers/net/netdevsim/dev.c:1793:17: warning: incorrect type in initializer (different address spaces)
/src/drivers/net/netdevsim/dev.c:1793:17:    expected unsigned char [usertype] *q
/src/drivers/net/netdevsim/dev.c:1793:17:    got void [noderef] __user *p
/src/drivers/net/netdevsim/dev.c:1790:5: warning: symbol 'f' redeclared (originally declared at /src/a.h:12:3)
/src/drivers/net/netdevsim/dev.c:30:9: warning: context imbalance in 'g' - wrong count at exit
"""


def only(log: str) -> Diagnostic:
    """The only message of a log."""
    (found,) = (one for said in read(dedent(log)).units.values() for one in said)
    return found


def test_units_are_what_recipes_make_and_keep_what_is_said_of_them() -> None:
    units = read(GCC).units
    assert list(units) == ["drivers/net/netdevsim/dev", "drivers/net/netdevsim/fib"]
    assert units["drivers/net/netdevsim/dev"] == ()
    assert "drivers/net/netdevsim/dev" in read(GCC).failed
    unused, implicit = units["drivers/net/netdevsim/fib"]
    assert unused.key == ("drivers/net/netdevsim/dev.c", "warning", "unused variable 'x' [-Wunused-variable]")
    assert (unused.line, unused.column) == (1792, 13)
    assert unused.detail[0].startswith("In file included from")
    assert unused.detail[-1] == "      |             ^"
    assert implicit.level == "error"
    assert implicit.detail[-1].endswith("note: did you mean this")


def test_sparse_tells_what_it_expected_in_lines_of_their_own() -> None:
    address, redeclared, context = read(SPARSE).units["drivers/net/netdevsim/dev"]
    assert address.text == (
        "incorrect type in initializer (different address spaces); "
        "expected unsigned char [usertype] *q; got void [noderef] __user *p"
    )
    assert redeclared.text == "symbol 'f' redeclared (originally declared at a.h)"
    assert context.line == 30


def test_what_is_compiled_and_checked_is_one_unit() -> None:
    log = "  CC [M]  net/a.o\n/src/net/a.c:1:1: warning: x\n  CHECK   /src/net/a.c\n/src/net/a.c:2:1: warning: y\n"
    assert [one.text for one in read(log).units["net/a"]] == ["x", "y"]


def test_recipes_that_ran_at_one_time_do_not_mix() -> None:
    log = "  CC      net/a.o\n/src/net/a.c:1:1: warning: x\n  CC      net/b.o\n  LD [M]  net/c.ko\nld: warning: z\n"
    assert {unit: [one.text for one in said] for unit, said in read(log).units.items()} == {
        "net/a": ["x"],
        "net/b": [],
        "LD net/c.ko": ["ld: warning: z"],
    }


@pytest.mark.parametrize(
    ("log", "expected"),
    [
        (
            '  MODPOST Module.symvers\nERROR: modpost: "foo" [drivers/a.ko] undefined!',
            ("", "error", 'ERROR: modpost: "foo" [drivers/a.ko] undefined!'),
        ),
        (
            "WARNING: modpost: vmlinux.o(.text+0x1f2c): Section mismatch in f() to .init.data:x",
            ("", "warning", "WARNING: modpost: vmlinux.o(.text): Section mismatch in f() to .init.data:x"),
        ),
        (
            "net/a.o: warning: objtool: f()+0x1c: unreachable instruction",
            ("net/a.o", "warning", "objtool: f(): unreachable instruction"),
        ),
        (
            "ld: net/a.o: in function `f':\na.c:(.text+0x12): undefined reference to `g'",
            ("a.c", "error", "undefined reference to `g'"),
        ),
        (
            "ld.lld: error: undefined symbol: g\n>>> referenced by a.c",
            ("", "error", "ld.lld: error: undefined symbol: g"),
        ),
        (
            "/src/net/a.c:35: warning: Function parameter or member 'x' not described in 'f'",
            ("net/a.c", "warning", "Function parameter or member 'x' not described in 'f'"),
        ),
        (
            "/src/net/Kconfig:12:warning: defaults for choice values not supported",
            ("net/Kconfig", "warning", "defaults for choice values not supported"),
        ),
        ('net/Kconfig:602: unknown statement "depend"', ("net/Kconfig", "error", 'unknown statement "depend"')),
        (
            "/src/a.dts:12.3-15: Warning (reg_format): /soc:reg: too short",
            ("a.dts", "warning", "(reg_format) /soc:reg: too short"),
        ),
        (
            "<stdin>:1515:2: warning: #warning syscall clone3 not implemented [-Wcpp]",
            ("<stdin>", "warning", "#warning syscall clone3 not implemented [-Wcpp]"),
        ),
        (
            "make[3]: *** No rule to make target 'net/b.o', needed by 'net/built-in.a'.",
            ("", "error", "No rule to make target 'net/b.o', needed by 'net/built-in.a'."),
        ),
        ("\x1b[1m/src/net/a.c:3:1: \x1b[35mwarning: \x1b[0mx\x1b]0;y\x07", ("net/a.c", "warning", "x")),
        (
            "error[E0425]: cannot find value `x`\n --> /src/net/a.rs:3:5\n  |",
            ("net/a.rs", "error", "cannot find value `x`[E0425]"),
        ),
    ],
)
def test_messages_of_every_tool(log: str, expected: tuple[str, str, str]) -> None:
    assert only(log).key == expected


def test_rustc_says_where_below_what_it_says() -> None:
    found = only("  RUSTC [M] net/a.o\nwarning: unused variable: `x`\n --> /src/net/a.rs:3:9\n  |\n3 |   let x\n")
    assert (found.path, found.line, found.column) == ("net/a.rs", 3, 9)


@pytest.mark.parametrize(
    "line",
    [
        "1 warning generated.",
        "2 warnings and 1 error generated.",
        "cc1: all warnings being treated as errors",
        "warning: 1 warning emitted",
        "error: aborting due to 2 previous errors",
        ".config:12:warning: override: reassigning to symbol NET",
        "make[2]: *** [/src/Makefile:1992: drivers/net] Error 2",
        "make[1]: *** Waiting for unfinished jobs....",
        "make: Target 'all' not remade because of errors.",
        " 1792 |         error = warning(1);",
        "  CC      drivers/net/error.o",
        "  GEN     warning.h",
    ],
)
def test_what_only_sums_up_or_quotes_is_no_message(line: str) -> None:
    assert not any(read(line).units.values())


def test_selftests_print_their_commands_whole() -> None:
    log = (
        "gcc -Wall -I../x -isystem /obj/usr/include    tls.c -lcap  -o /obj/kselftest/net/tls\ntls.c:1:1: warning: x\n"
    )
    assert list(read(log).units) == ["kselftest/net/tls"]
    assert only(log).path == "tls.c"


@pytest.mark.parametrize(
    ("verb", "path", "unit"),
    [
        ("CC [M]", "drivers/net/a.o", "drivers/net/a"),
        ("CHECK", "/src/drivers/net/a.c", "drivers/net/a"),
        ("AS", "arch/x86/entry/entry_64.o", "arch/x86/entry/entry_64"),
        ("LD [M]", "drivers/net/a.o", "LD drivers/net/a.o"),
        ("HOSTCC", "/obj/tools/objtool/fixdep.o", "HOSTCC tools/objtool/fixdep.o"),
        ("CC", "net/../lib/b.o", "lib/b"),
    ],
)
def test_names_of_units(verb: str, path: str, unit: str) -> None:
    assert unit_of(verb, path) == unit


def test_noise_is_taken_out_of_what_was_read() -> None:
    units = read("  CC      net/a.o\n/src/net/a.c:1:1: warning: x\n/src/net/a.c:2:1: warning: y\n").units
    assert [one.text for one in quiet(units, ["^net/a.c: warning: x$"])["net/a"]] == ["y"]


def test_a_log_may_be_read_as_what_was_said_of_one_unit() -> None:
    assert list(read_as("Kconfig", GCC).units) == ["Kconfig"]
    assert len(read_as("Kconfig", GCC).units["Kconfig"]) == 2


def test_makefiles_in_folders_of_their_own_name_files_from_there() -> None:
    log = read("gcc a.c -o /obj/kselftest/net/lib/a\na.c:1:1: warning: x\n../b.h:2:1: warning: y\n")
    found = mirrored(log, "kselftest", "tools/testing/selftests").units["kselftest/net/lib/a"]
    assert [one.path for one in found] == ["tools/testing/selftests/net/lib/a.c", "tools/testing/selftests/net/b.h"]


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "line", ["x" * 4_000_000, "a/" * 400_000 + "warning", "Kconfig" * 300_000, "\x1b]" * 400_000, "*** [" * 400_000]
)
def test_lines_without_end_take_no_time_without_end(line: str) -> None:
    read(line)
    read(f"make: {line}")
    read(f"a.c:1:1: warning: {line}\nundefined reference {line}")


def test_messages_without_number_are_not_kept() -> None:
    assert len(read("a.c:1:1: warning: x\n" * 120_000).units[""]) == 100_000


def test_what_is_long_is_cut() -> None:
    found = only("/src/a.c:1:1: warning: " + "x" * 10_000 + "\n" + "y\n" * 1000)
    assert len(found.text) == 1000
    assert len(found.detail) == 24


@given(st.text())
def test_whatever_is_printed_can_be_read(text: str) -> None:
    read(text)
    path_of(text)


def test_a_message_that_ends_as_a_note_of_kconfig_is_a_message() -> None:
    assert only("  CC      a.o\na.c:1:2: warning: x changes choice state\n").text == "x changes choice state"
    assert only('a.c:1:2: warning: #warning "override: reassigning to symbol NET"').line == 1
    assert read(".config:12:warning: override: NET changes choice state\n").units == {}
