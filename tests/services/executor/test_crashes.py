"""What a kernel's log means for a test."""

from pathlib import Path

import pytest

from services.executor.app import bench
from services.executor.crashes import blame, in_log, rules, written
from services.executor.endings import was_cut_off
from services.executor.retry import wants_retry
from services.executor.runs import Runs
from services.executor.suites.attempt import Attempt
from services.executor.work import Order
from shared.clock import wall
from shared.errors import Refused
from shared.model.results import Case, Cause, Result
from shared.settings import CrashIgnore, parse
from tests.services.executor.builders import Kept
from tests.services.executor.world import EXECUTOR, TOML

CONSOLES = Path(__file__).parents[2] / "golden" / "console"
WARNING = (CONSOLES / "warning-6.6-module.log").read_text()
NOTE = (CONSOLES / "page-allocation-6.1.log").read_text()
TITLE = "WARNING in ice_vsi_cfg_txq"
IGNORE = rules([CrashIgnore(pattern="WARNING in ice_*", reason="bug 4711")])


def a_case(result: Result = Result.PASS, cause: Cause | None = None, detail: str = "", subtest: str = "") -> Case:
    return Case("net", "ring", result, subtest, cause, detail=detail, log="net/ring/0/stdout")


@pytest.mark.parametrize(
    ("result", "cause"),
    [
        (Result.PASS, None), (Result.FAIL, None), (Result.SKIP, None), (Result.WARN, None), (Result.ERROR, Cause.TEST),
        (Result.FAIL, Cause.TIMEOUT), (Result.NOT_RUN, Cause.INFRA),
    ],
)  # fmt: skip
def test_a_crash_fails_the_test_whatever_it_said(result: Result, cause: Cause | None) -> None:
    test, sub = blame((a_case(result, cause, "exit=1"), a_case(subtest="a")), in_log(WARNING, ()))
    assert (test.result, test.cause) == (Result.FAIL, Cause.CRASH)
    assert test.crashes == (
        f"{TITLE} (warning:ice_vsi_cfg_txq:ice_vsi_cfg_lan_txqs:ice_vsi_cfg_lan:ice_up:ice_set_ringparam)",
    )
    assert test.detail == f"{TITLE}; exit=1"
    assert sub == a_case(subtest="a")
    assert wants_retry((test, sub), 0, 1)


def test_what_ran_into_the_deadline_and_crashed_has_crashed() -> None:
    (test,) = blame((a_case(Result.FAIL, Cause.TIMEOUT),), in_log(WARNING, ()))
    assert not was_cut_off(Attempt("net", "ring", 0, (test,), {}, 1.0))


def test_an_ignored_crash_changes_no_result_and_stays_visible() -> None:
    (test,) = blame((a_case(),), in_log(WARNING, IGNORE))
    assert (test.result, test.cause, test.crashes) == (Result.PASS, None, ())
    assert test.detail == f"ignored: {TITLE} (bug 4711)"
    assert f"{TITLE}\n" in written(in_log(WARNING, IGNORE)).decode()
    assert "ignored: bug 4711" in written(in_log(WARNING, IGNORE)).decode()


def test_what_accuses_nobody_changes_no_result_and_stays_visible() -> None:
    (test,) = blame((a_case(),), in_log(NOTE, ()))
    assert (test.result, test.crashes) == (Result.PASS, ())
    assert test.detail.startswith("ignored: page allocation failure in alloc_skb_with_frags (")


def test_beside_an_ignored_crash_another_counts() -> None:
    other = WARNING.replace("ice_vsi_cfg_txq", "other_f")
    (test,) = blame((a_case(),), in_log(WARNING + other, IGNORE))
    assert [crash.partition(" (")[0] for crash in test.crashes] == ["WARNING in other_f"]
    assert test.detail == f"WARNING in other_f; ignored: {TITLE} (bug 4711)"


def test_a_quiet_kernel_changes_nothing() -> None:
    judged = in_log("[    1.000000] eth0: link up\n(the kernel log cannot be read: no permission)\n", ())
    assert blame((a_case(),), judged) == (a_case(),)
    assert written(judged) == b""


def test_many_crashes_are_told_within_bounds() -> None:
    log = "".join(WARNING.replace("ice_vsi_cfg_txq", f"ice_{n}_{'x' * 100}") for n in range(200))
    (test,) = blame((a_case(),), in_log(log, ()))
    assert len(test.crashes) == 32
    assert all(len(crash) <= 500 for crash in test.crashes)
    assert len(test.detail) <= 600
    assert "197 more from the kernel" in test.detail


def test_the_file_has_the_fingerprints_and_the_text() -> None:
    text = written(in_log(WARNING, ())).decode()
    assert "  fingerprint: warning:ice_vsi_cfg_txq:" in text
    assert "  in NIPA: ice_vsi_cfg_txq:ice_vsi_cfg_lan_txqs:" in text
    assert "  counts as a crash" in text
    assert "    RIP: 0010:ice_vsi_cfg_txq+0x19f/0x250 [ice]" in text


# What an operator writes.


async def test_the_executor_s_rules_reach_its_runs(tmp_path: Path) -> None:
    written = 'crash_ignore = [{ pattern = "WARNING in ice_*", reason = "bug 4711" }]\n'
    text = TOML.format(data=tmp_path, free=0) + EXECUTOR.format(name="net", deadline="2h") + written
    settings = parse(text)
    ready = bench(settings, settings.executors[0])
    assert ready.ignore == IGNORE
    job = await Runs(ready, wall)._job(Order("run", "b", "c" * 40, "", "", wall()), Kept())
    assert job.ignore == IGNORE


@pytest.mark.parametrize(
    "rule", ['{ pattern = "", reason = "x" }', '{ pattern = "x", reason = "" }', '{ pattern = "x" }']
)
def test_a_rule_needs_a_pattern_and_a_reason(tmp_path: Path, rule: str) -> None:
    text = TOML.format(data=tmp_path, free=0) + EXECUTOR.format(name="net", deadline="2h")
    with pytest.raises(Refused, match=r"executors\.0\.crash_ignore\.0"):
        parse(f"{text}crash_ignore = [{rule}]\n")
