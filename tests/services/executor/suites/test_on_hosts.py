"""The suites over SSH, on practice hosts: with programs that print what the real ones print, and the real kunit.py."""

import io
import json
import os
import subprocess
import tarfile
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from services.executor.drivers.base import Job, Target
from services.executor.runner import Surroundings, carry_out
from services.executor.suites import suite_for
from services.executor.suites.attempt import Attempt, attempt, base_paths, list_tests, prepare
from services.executor.suites.base import Place, Suite
from services.executor.suites.bpf import BpfConfig
from services.executor.suites.kunit import KunitConfig
from services.executor.suites.manifest import Expecting, read
from services.executor.suites.packetdrill import PacketdrillConfig
from services.executor.suites.perf import PerfConfig
from services.executor.suites.script import ScriptConfig
from shared.clock import wall
from shared.errors import InfraError, Refused
from shared.model.results import Cause, Result
from shared.practice.hosts import served_hosts
from shared.practice.kernel import BRANCH, import_kernel
from tests.services.executor.builders import Claims, Kept, Shells, a_job, a_run, always, driver_of

PATH = os.environ["PATH"]


@pytest.fixture
async def target() -> AsyncIterator[Target]:
    async with a_target() as made:
        yield made


@asynccontextmanager
async def a_target() -> AsyncIterator[Target]:
    async with served_hosts(1) as fleet, driver_of(fleet).lease(Job("run-1", 1)) as made:
        yield made


def program(folder: Path, name: str, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{text}")
    (folder / name).chmod(0o755)
    return folder / name


async def tree(files: Mapping[str, str]) -> AsyncIterator[bytes]:
    """A tar of these files, the executable ones being those that begin with ``#!``."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(text.encode()), 0o755 if text.startswith("#!") else 0o644
            tar.addfile(member, io.BytesIO(text.encode()))
    yield data.getvalue()


async def run_all(
    target: Target,
    suite: Suite,
    files: Mapping[str, str] | None = None,
    base: Mapping[str, str] | None = None,
    number: int = 0,
) -> dict[str, Attempt]:
    place = Place(target.work, "a" * 40, "branch", "b" * 40)
    handed = None if files is None else tree(files)
    assert await prepare(target.dut, suite, place, handed, None if base is None else tree(base)) == ()
    listed = await list_tests(target.dut, suite, place)
    return {one.test: await attempt(target, suite, one, place, number) for one in listed.invocations}


# packetdrill

PACKETDRILL = """\
for word; do
    case $word in --ip_version=*) version=${word#*=} ;; esac
    script=$word
done
. ./../common.sh || exit 3
[ "$(grep -c : /proc/net/dev)" = 1 ] || { echo "not alone in its network" >&2; exit 1; }
if grep -q "fails on $version" "$script"; then
    echo "$script:3: error handling packet: bad value outbound TCP option 3" >&2
    exit 1
fi
"""


async def test_packetdrill_scripts_run_alone_in_a_network(target: Target, tmp_path: Path) -> None:
    program(tmp_path / "bin", "packetdrill", PACKETDRILL)
    program(tmp_path / "gtests", "common.sh", "")
    for name, text in {"ok.pkt": "", "bad.pkt": "fails on ipv6\n", "only-v4.pkt": "fails on ipv6\n"}.items():
        program(tmp_path / "gtests/tcp", name, text)
    suite = suite_for(PacketdrillConfig.model_validate({
        "folder": tmp_path / "gtests", "env": {"PATH": f"{tmp_path}/bin:{PATH}"},
    }))  # fmt: skip
    done = await run_all(target, suite)
    assert {test: one.cases[0].result for test, one in done.items()} == {
        "tcp-bad-ipv4": Result.PASS, "tcp-bad-ipv6": Result.FAIL, "tcp-ok-ipv4": Result.PASS,
        "tcp-ok-ipv6": Result.PASS, "tcp-only-v4-ipv4": Result.PASS,
    }  # fmt: skip
    why = "exit=1: ./bad.pkt:3: error handling packet: bad value outbound TCP option 3"
    assert done["tcp-bad-ipv6"].cases[0].detail == why


async def test_a_host_without_packetdrill_is_to_blame(target: Target, tmp_path: Path) -> None:
    suite = suite_for(PacketdrillConfig(folder=tmp_path, program="no-packetdrill"))
    with pytest.raises(InfraError, match="no-packetdrill is not installed"):
        await run_all(target, suite)


# test_progs

TEST_PROGS = """\
[ "$1" = -l ] && { printf 'align\\nmaps\\ncrash\\n'; exit 0; }
[ "$1" = --help ] && { echo "      --json-summary=FILE"; exit 0; }
summary() { echo "Summary: $1/$2 PASSED, $3 SKIPPED, $4 FAILED"; }
counts() { printf '{"success":%s,"success_subtest":%s,"skipped":%s,"failed":%s,"results":[%s]}' "$@" >"$json"; }
json=$4
case $2 in
align) echo "#1       align:OK"; summary 1 0 0 0; counts 1 0 0 0 "" ;;
maps)
    printf '#2/1     maps/a b:OK\\n#2/2     maps/c:SKIP\\n#2/3     maps/d:FAIL\\n#2       maps:FAIL\\n'
    echo "noise on the error stream" >&2
    summary 0 1 1 1
    counts 0 1 1 1 '{"name":"maps","failed":true,"subtests":[{"name":"d","message":"x\\nd:FAIL:oops\\n"}]}'
    exit 1 ;;
crash) echo "about to crash"; kill -SEGV $$ ;;
esac
"""


async def test_test_progs_is_run_test_by_test(target: Target, tmp_path: Path) -> None:
    program(tmp_path, "test_progs", TEST_PROGS)
    done = await run_all(target, suite_for(BpfConfig(folder=tmp_path)))
    assert list(done) == ["align", "maps", "crash"]
    assert [(case.subtest, case.result) for case in done["maps"].cases] == [
        ("", Result.FAIL), ("a b", Result.PASS), ("c", Result.SKIP), ("d", Result.FAIL),
    ]  # fmt: skip
    assert done["maps"].cases[0].detail == "subtest d: d:FAIL:oops"
    assert b"noise on the error stream" in done["maps"].files["bpf-test-progs/maps/0/stdout"]
    assert json.loads(done["maps"].files["bpf-test-progs/maps/0/stderr"])["failed"] == 1
    assert done["align"].cases[0].result is Result.PASS
    assert (done["crash"].cases[0].result, done["crash"].cases[0].detail) == (Result.FAIL, "exit=139")


async def test_an_older_test_progs_has_no_json(target: Target, tmp_path: Path) -> None:
    program(tmp_path, "test_progs", TEST_PROGS.replace("--json-summary=FILE", "").replace('>"$json"', ">/dev/null"))
    done = await run_all(target, suite_for(BpfConfig(folder=tmp_path)))
    assert [case.result for case in done["maps"].cases] == [Result.FAIL, Result.PASS, Result.SKIP, Result.FAIL]
    assert "bpf-test-progs/maps/0/stderr" not in done["maps"].files


# Benchmarks

BENCH = 'echo "metric: rate $((100 + NETCI_REPETITION)) Mbit/s higher"; [ "$NETCI_REPETITION" -lt "${STOP:-99}" ]'


async def test_a_benchmark_is_repeated_and_its_figures_kept(target: Target) -> None:
    (done,) = (await run_all(target, suite_for(PerfConfig(command=BENCH, test="tcp", repeat=4)))).values()
    assert [(case.name, case.result, case.detail) for case in done.cases[1:]] == [
        ("tcp.rate", Result.PASS, "median 101.5 Mbit/s of 4, 100 to 103, spread 3.0%")
    ]
    assert json.loads(done.files["perf/tcp/0/metrics.json"])["metrics"]["rate"]["value"] == [100, 101, 102, 103]


async def test_the_first_repetition_that_fails_is_the_last(target: Target) -> None:
    suite = suite_for(PerfConfig(command=BENCH, test="tcp", repeat=4, env={"STOP": "1"}))
    (done,) = (await run_all(target, suite)).values()
    assert done.cases[0].result is Result.FAIL
    assert done.files["perf/tcp/0/stdout"].count(b"metric:") == 2


# Before and after

LINT = 'grep -n TODO "$PWD"/*.c; echo "$NETCI_SIDE $NETCI_COMMIT" >"$RESULTS_DIR/seen"; printf "no newline at the end"'


async def test_a_script_runs_on_the_base_and_on_the_branch(target: Target, tmp_path: Path) -> None:
    suite = suite_for(ScriptConfig(command=LINT, test="lint", checkout=True, compare=True, counts=("*TODO*",)))
    before = {"a.c": "/* TODO old */\n", "b.c": "fine\n"}
    after = {"a.c": "moved\n/* TODO old */\n", "b.c": "/* TODO new */\n"}
    done = (await run_all(target, suite, after, before))["lint"]
    assert (done.cases[0].result, done.cases[0].detail) == (
        Result.FAIL, f"1 new: {target.work}/tree/b.c:1:/* TODO new */",
    )  # fmt: skip
    assert b"TODO new" in done.files["scripts/lint/0/new-lines"]
    for side, commit in (("base", "b" * 40), ("head", "a" * 40)):
        await target.dut.get(target.work / "results/lint" / side / "seen", tmp_path / side, limit=100)
        assert (tmp_path / side).read_text() == f"{side} {commit}\n"


async def test_a_branch_without_its_base_is_not_compared(target: Target) -> None:
    suite = suite_for(ScriptConfig(command=LINT, test="lint", checkout=True, compare=True))
    with pytest.raises(Refused, match="checkout"):
        await prepare(target.dut, suite, Place(target.work, "a" * 40), tree({"a.c": ""}), None)


async def test_a_run_hands_over_both_trees() -> None:
    suite = suite_for(ScriptConfig(command="cat *.c", test="cat", checkout=True, compare=True))
    kept = Kept()
    async with served_hosts(1) as fleet:
        trees: list[Callable[[], AsyncIterator[bytes]]] = [
            lambda: tree({"a.c": "x\ny\n"}),
            lambda: tree({"a.c": "x\n"}),
        ]
        around = Surroundings(Claims(), trees[0], always, wall, 0.05, trees[1])
        await carry_out(a_job(retries=0), driver_of(fleet), suite, kept, around)
    assert base_paths(suite) == ()
    assert [(case.test, case.result, case.detail) for case in kept.cases] == [("cat", Result.FAIL, "1 new: y")]


# Manifests


async def test_a_run_shows_what_was_expected_and_is_not_there() -> None:
    shells = Shells({"a": "echo ok 1 one", "b": "true"})
    kept = Kept()
    async with served_hosts(1) as fleet:
        suite = Expecting(shells, read(["a one", "a two", "c"]))
        await a_run(fleet, suite, kept)
    assert {case.name: case.result for case in kept.cases} == {
        "a": Result.PASS, "a.one": Result.PASS, "a.two": Result.NOT_RUN, "b": Result.PASS, "c": Result.NOT_RUN,
    }  # fmt: skip
    assert kept.tests == 2


# KUnit: the kernel's own kunit.py, with a make that builds nothing and a kernel that is a script.

MAKE = """\
for word; do
    case $word in O=*) out=${word#O=} ;; olddefconfig) exit 0 ;; esac
done
[ -e broken.c ] && { echo "broken.c:1: error: it is" >&2; exit 2; }
cp fake-linux "$out/linux"
"""

LINUX = """\
#!/bin/sh
for word; do
    case $word in
    kunit.action=list) list=yes ;;
    kunit.filter_glob=*) glob=${word#*=} ;;
    esac
done
echo "Core dump limits :"
[ -e silent ] && exit 0
if [ "$list" ]; then
    printf 'KTAP version 1\\nexample.simple\\nexample.skipped\\nlists.add\\nboom.first\\nboom.second\\n'
    exit 0
fi
echo "KTAP version 1"
case $glob in
example) printf '1..1\\n    KTAP version 1\\n    # Subtest: example\\n    1..2\\n    ok 1 simple\\n'
    printf '    ok 2 skipped # SKIP not today\\nok 1 example\\n' ;;
lists) printf '1..1\\n    KTAP version 1\\n    # Subtest: lists\\n    1..1\\n    not ok 1 add\\nnot ok 1 lists\\n' ;;
boom) printf '1..1\\n    KTAP version 1\\n    # Subtest: boom\\n    1..2\\n    ok 1 first\\n'
    echo "Kernel panic - not syncing: Segfault with no mm"; exit 1 ;;
*) printf '1..1\\n    KTAP version 1\\n    # Subtest: lists\\n    1..1\\n    ok 1 add\\nok 1 lists\\n' ;;
esac
echo "reboot: System halted"
"""


@pytest.fixture(scope="module")
def kunit_py() -> dict[str, str]:
    """kunit.py and its parts, from the kernel source."""
    argv = ["git", "-C", str(import_kernel()), "archive", BRANCH, "tools/testing/kunit"]
    data = subprocess.run(argv, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        files = [member for member in tar if member.isfile() and "test_data" not in member.name]
        return {member.name: tar.extractfile(member).read().decode() for member in files}  # type: ignore[union-attr]


def a_kunit(tmp_path: Path, **changes: object) -> Suite:
    program(tmp_path / "bin", "make", MAKE)
    return suite_for(KunitConfig.model_validate({"env": {"PATH": f"{tmp_path}/bin:{PATH}"}, "jobs": 1} | changes))


@pytest.mark.slow
async def test_kunit_py_builds_lists_and_boots_each_suite(
    target: Target, tmp_path: Path, kunit_py: dict[str, str]
) -> None:
    done = await run_all(target, a_kunit(tmp_path), kunit_py | {"fake-linux": LINUX})
    assert list(done) == ["example", "lists", "boom"]
    assert {test: one.cases[0].result for test, one in done.items()} == {
        "example": Result.PASS, "lists": Result.FAIL, "boom": Result.FAIL,
    }  # fmt: skip
    assert [(case.subtest, case.result) for case in done["example"].cases[1:]] == [
        ("simple", Result.PASS), ("skipped", Result.SKIP),
    ]  # fmt: skip
    assert done["boom"].cases[0].cause is Cause.CRASH
    assert done["boom"].cases[0].detail == "the kernel panicked: Segfault with no mm"
    assert ("missing 2", Result.ERROR) in [(case.subtest, case.result) for case in done["boom"].cases]


@pytest.mark.slow
async def test_kunit_py_boots_once_for_all(target: Target, tmp_path: Path, kunit_py: dict[str, str]) -> None:
    done = await run_all(target, a_kunit(tmp_path, boots="once"), kunit_py | {"fake-linux": LINUX})
    assert [(case.name, case.result) for case in done["all"].cases] == [
        ("all", Result.PASS), ("all.lists", Result.PASS), ("all.lists.add", Result.PASS),
    ]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    ("more", "step", "said"),
    [({"broken.c": "x"}, "build", b"broken.c:1: error: it is"), ({"silent": ""}, "boot", b"the kernel lists no tests")],
)
async def test_a_kernel_that_does_not_build_or_boot_is_the_patchs(
    target: Target, tmp_path: Path, kunit_py: dict[str, str], more: dict[str, str], step: str, said: bytes
) -> None:
    files = kunit_py | {"fake-linux": LINUX} | more
    (failed,) = await prepare(target.dut, a_kunit(tmp_path), Place(target.work, "a" * 40), tree(files))
    (case,) = failed.cases
    assert (case.group, case.test, case.result, case.cause) == ("kunit", step, Result.FAIL, Cause.PATCH)
    assert said in failed.files[case.log]
