"""The kunit suite: what it has kunit.py do, what it reads, and that it agrees with kunit.py's own parser."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from services.executor.suites.base import Invocation, Place, Spoken
from services.executor.suites.kunit import Kunit, KunitConfig
from shared.model.results import Case, Cause, Result
from shared.practice.kernel import BRANCH, import_kernel

PLACE = Place(PurePosixPath("/w"), "a" * 40)
LISTING = """\
[10:00:00] Configuring KUnit Kernel ...
netdev_lists.add
netdev_lists.remove
example.simple
-option.x
star*.x
[10:00:09] Elapsed time: 8.1s
"""

ONE_SUITE = """\
[10:00:00] Starting KUnit Kernel (1/1)...
[    0.000000] Linux version 6.1.0
[    0.100000] KTAP version 1
[    0.100000] 1..1
[    0.110000]     KTAP version 1
[    0.110000]     # Subtest: netdev_lists
[    0.110000]     1..3
[    0.120000]     ok 1 add
[    0.125000] netdev_lists: a message of the kernel
[    0.130000]         KTAP version 1
[    0.130000]         # Subtest: remove
[    0.130000]         ok 1 first
[    0.130000]         ok 2 last # SKIP not on this machine
[    0.140000]     # remove: pass:1 fail:0 skip:1 total:2
[    0.140000]     ok 2 remove
[    0.150000]     {third}
[    0.160000] # netdev_lists: pass:2 fail:0 skip:0 total:3
[    0.160000] {last}
[    0.200000] reboot: Restarting system
"""


def a_suite(**changes: object) -> Kunit:
    return Kunit(KunitConfig.model_validate(changes))


def the_first(suite: Kunit, listing: str = LISTING) -> Invocation:
    return suite.invocations(listing, PLACE)[0]


def cases(text: str, suite: Kunit | None = None, code: int | None = 0, listing: str = LISTING) -> tuple[Case, ...]:
    suite = suite or a_suite()
    spoken = Spoken(text.encode(), b"", code, code is None, 1.0, 0, "log")
    return suite.read(the_first(suite, listing), spoken)


def test_a_boot_for_each_suite_that_the_kernel_lists() -> None:
    found = a_suite(skip=["exam*"]).invocations(LISTING, PLACE)
    assert [one.key for one in found] == [("kunit", "netdev-lists")]
    assert found[0].command.argv[-1] == "netdev_lists"
    assert "--raw_output=all" in found[0].command.argv
    assert [one.program for one in a_suite().invocations(LISTING, PLACE)] == ["netdev_lists", "example"]


def test_kunit_py_is_told_what_to_build_and_where_to_boot() -> None:
    suite = a_suite(
        kunitconfigs=["net/core"], kconfig=["CONFIG_KASAN=y"], arch="x86_64", qemu_args=["-smp 2"], jobs=2,
        make_options=["LLVM=1"], time_limit="2m",
    )  # fmt: skip
    build, boot = suite.prepare(PLACE)
    assert build.command.argv[5:8] == ("python3", "./tools/testing/kunit/kunit.py", "build")
    assert set(build.command.argv[8:]) == {
        "--build_dir=/w/install/kunit", "--arch=x86_64", "--make_options=LLVM=1", "--jobs=2", "--kunitconfig=net/core",
        "--kconfig_add=CONFIG_KASAN=y",
    }  # fmt: skip
    assert boot.command.argv[-3:] == ("--list_tests", "--timeout=120", "--qemu_args=-smp 2")
    run = the_first(suite).command
    assert {"--timeout=120", "--qemu_args=-smp 2", "--arch=x86_64"} <= set(run.argv)


def test_one_boot_for_all_knows_no_listing() -> None:
    suite = a_suite(boots="once", suites=["net*"])
    assert suite.listing(PLACE) is None
    assert len(suite.prepare(PLACE)) == 1
    (only,) = suite.invocations("", PLACE)
    assert (only.key, only.command.argv[-1]) == (("kunit", "all"), "net*")


def test_the_hosts_own_kernel_is_read_from_debugfs_or_else_from_its_log() -> None:
    suite = a_suite(where="kernel", modules=["kunit-example-test"])
    assert suite.paths() is None
    assert suite.prepare(PLACE)[0].command.argv == ("modprobe", "-a", "--", "kunit-example-test")
    (suite_of_it,) = suite.invocations("example.results\n", PLACE)
    assert suite_of_it.command.argv[-1] == "example"
    (log,) = suite.invocations("", PLACE)
    assert log.command.argv == ("dmesg",)


@pytest.mark.parametrize(
    "wrong",
    [{"kunitconfigs": ["../x"]}, {"modules": ["a b"]}, {"modules": ["-r"]}, {"boots": "once", "skip": ["a"]},
     {"boots": "twice"}, {"checkout": ["/"]}],
)  # fmt: skip
def test_a_wrong_key_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        a_suite(**wrong)


def said(third: str, last: str) -> str:
    return ONE_SUITE.format(third=third, last=last)


def test_nested_results_become_subtests_of_the_suite() -> None:
    found = cases(said("ok 3 sort", "ok 1 netdev_lists"))
    assert [(case.subtest, case.result) for case in found] == [
        ("", Result.PASS), ("add", Result.PASS), ("remove", Result.PASS), ("remove.first", Result.PASS),
        ("remove.last", Result.SKIP), ("sort", Result.PASS),
    ]  # fmt: skip


def test_a_failure_is_named_without_its_suite() -> None:
    first = cases(said("not ok 3 sort", "not ok 1 netdev_lists"))[0]
    assert (first.test, first.result, first.detail) == ("netdev-lists", Result.FAIL, "subtest sort: fail")


def test_a_suite_that_says_pass_over_a_failed_test_has_not_passed() -> None:
    first = cases(said("not ok 3 sort", "ok 1 netdev_lists"))[0]
    assert first.result is Result.FAIL


def test_a_result_that_the_plan_promised_is_missed() -> None:
    first, *below = cases(said("", "ok 1 netdev_lists"))
    assert first.result.bad
    assert ("missing 3", Result.ERROR) in [(case.subtest, case.result) for case in below]


def test_a_kernel_that_panics_has_crashed_the_suite_that_ran() -> None:
    text = said("Kernel panic - not syncing: Fatal exception", "")
    first = cases(text)[0]
    assert (first.result, first.cause) == (Result.FAIL, Cause.CRASH)
    assert first.detail == "the kernel panicked: Fatal exception"


def test_no_root_file_system_is_how_a_boot_ends() -> None:
    text = said("ok 3 sort", "ok 1 netdev_lists") + "Kernel panic - not syncing: VFS: Unable to mount root fs on x\n"
    assert cases(text)[0].result is Result.PASS


def test_a_kernel_that_never_came_to_its_tests_has_not_passed() -> None:
    (only,) = cases("[    0.000000] Linux version 6.1.0\n")
    assert (only.result, only.detail) == (Result.FAIL, "no KTAP: the kernel did not come to its tests")


def test_a_time_limit_is_the_cause() -> None:
    assert cases("KTAP version 1\n1..1\n", code=None)[0].cause is Cause.TIMEOUT


def test_a_kernel_log_has_a_report_for_each_module() -> None:
    text = "".join(
        f"[ {at}.0] KTAP version 1\n[ {at}.0] 1..1\n[ {at}.1]     KTAP version 1\n[ {at}.1]     # Subtest: s{at}\n"
        f"[ {at}.1]     1..1\n[ {at}.2]     ok 1 t\n[ {at}.3] ok 1 s{at}\n[ {at}.4] eth0: link up\n"
        for at in (10, 11)
    )
    found = cases(text, a_suite(where="kernel"), listing="")
    assert [case.name for case in found] == ["all", "all.s10", "all.s10.t", "all.s11", "all.s11.t"]


@given(st.text())
def test_any_listing_is_survived(listing: str) -> None:
    for invocation in a_suite().invocations(listing, PLACE):
        assert invocation.group == "kunit"


@given(st.text(), st.one_of(st.none(), st.integers(0, 255)))
def test_any_output_is_survived(text: str, code: int | None) -> None:
    assert cases(text, code=code)[0].test == "netdev-lists"


# kunit.py's own parser on the kernels' logs that it is tested with: the same tests, and the same word on each.

_COUNT = """
import io, json, sys
sys.path.insert(0, sys.argv[1])
import kunit_parser, kunit_printer
kunit_printer.stdout = kunit_parser.stdout = kunit_printer.Printer(io.StringIO()) if hasattr(
    kunit_printer, "Printer") else kunit_parser.stdout
found = {}
for name in sys.argv[2:]:
    with open(name, errors="backslashreplace") as file:
        counts = kunit_parser.parse_run_tests(file.read().splitlines()).counts
    found[name] = {"pass": counts.passed, "fail": counts.failed, "skip": counts.skipped,
                   "crashed": counts.crashed, "errors": counts.errors}
print("\\n" + json.dumps(found))
"""

# It takes a kselftest's own subtests for comments. A test without results it counts, and so do we.
NOT_ALIKE = {"test_is_test_passed-kselftest.log"}


def ours(text: str) -> tuple[Case, Counter[str]]:
    first, *below = cases(text, a_suite(boots="once"))
    names = {case.subtest for case in below}
    leaves = [c for c in below if not any(name.startswith(f"{c.subtest}.") for name in names)]
    return first, Counter(str(case.result) for case in leaves)


@pytest.mark.slow
def test_the_kernels_own_parser_counts_the_same(tmp_path: Path) -> None:
    archive = ["git", "-C", str(import_kernel()), "archive", BRANCH, "tools/testing/kunit"]
    tar = subprocess.run(archive, capture_output=True, check=True).stdout
    subprocess.run(["tar", "-x", "-C", tmp_path], input=tar, check=True)
    tool = tmp_path / "tools/testing/kunit"
    logs = sorted(log for log in (tool / "test_data").glob("*.log") if log.name not in NOT_ALIKE)
    assert len(logs) > 15
    done = subprocess.run([sys.executable, "-c", _COUNT, tool, *logs], capture_output=True, text=True, check=True)
    theirs = json.loads(done.stdout.splitlines()[-1])
    for log in logs:
        counts = theirs[str(log)]
        first, mine = ours(log.read_text(errors="replace"))
        assert [mine[word] for word in ("pass", "fail", "skip")] == [
            counts[word] for word in ("pass", "fail", "skip")
        ], log.name
        sound = not (counts["fail"] or counts["crashed"] or (counts["errors"] and not counts["pass"]))
        assert first.result.bad is not sound, log.name
