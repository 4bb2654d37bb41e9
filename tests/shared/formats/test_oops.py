"""Crashes on a console: rules one by one, and what must hold for any bytes. Whole consoles are in the golden tests."""

from collections.abc import Iterable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.formats.oops import LANES, LINE, OopsReader, Report, Rule, judge, read
from shared.formats.oops_frames import nipa_form
from shared.formats.oops_growing import LINE_KEPT, MOST_LINES, TEXT_LINES
from shared.formats.oops_lines import USER, lines
from shared.formats.oops_search import SEARCHES
from tests.shared.formats.test_oops_golden import LOGS, console

WARNING = """\
[    1.000001][   T7] ------------[ cut here ]------------
[    1.000002][   T7] WARNING: CPU: 0 PID: 7 at net/core/dev.c:17 first_f+0x1/0x2
[    1.000003][   T7] RIP: 0010:first_f+0x1/0x2
[    1.000004][   T7] Call Trace:
[    1.000005][   T7]  second_f+0x1/0x2
[    1.000006][   T7] ---[ end trace 0000000000000000 ]---
"""


def stamped(*said: str, caller: str = "") -> str:
    mark = f"[{caller:>6}]" if caller else ""
    return "".join(f"[   61.{n:06d}]{mark} {text}\n" for n, text in enumerate(said))


def titles(log: bytes | str) -> list[str]:
    return [report.title for report in read(log)]


def pieces(log: bytes, sizes: Iterable[int]) -> list[Report]:
    """The reports of a log that comes in pieces of these sizes, again and again."""
    reader, found, at = OopsReader(), list[Report](), 0
    sizes = list(sizes)
    while at < len(log):
        for size in sizes:
            found += reader.feed(log[at : at + size])
            at += size
    return sorted(found + reader.end(), key=lambda report: report.offset)


# Any bytes, any pieces.

WORDS = st.sampled_from([
    b"BUG: ", b"BUG: KASAN: slab-out-of-bounds in f+0x1/0x2", b"[    1.000000]", b"[    1.000000][   T7] ", b"\n",
    b"[    1.000000][   C1] NMI backtrace for cpu 1\n", b" ", b"\r", b"\x1b[31m", b"x" * (LINE - 3), b"\xff\0",
    b"------------[ cut here ]------------\n", b" f+0x1/0x2\n", b" g.isra.0+0x1/0x2 [mod]\n", b" ? h+0x1/0x2\n",
    b"Call Trace:\n", b" </TASK>\n", b"---[ end trace 0 ]---\n", b"Kernel panic - not syncing: x\n",
    b"unreferenced object 0xffff888000000000 (size 8):\n", b"INFO: task a:1 blocked for more than 5 seconds.\n",
    b"rcu: INFO: rcu_preempt self-detected stall on CPU\n", b"refcount_t: underflow; use-after-free.\n",
    b"WARNING: CPU: 0 PID: 7 at a.c:1 f+0x1/0x2", b"Kernel panic",
])  # fmt: skip
CONSOLES = st.lists(WORDS | st.binary(max_size=12), max_size=60).map(b"".join)


@given(CONSOLES | st.sampled_from(LOGS).map(console), st.lists(st.integers(1, 3000), min_size=1, max_size=5))
@example(b"x" * (LINE - 2) + b"BUG: KASAN: a in f+0x1/0x2\n", [1, LINE])
@example(b"x" * LINE + b"\n[    1.000000] BUG: a\n", [LINE, 1])
def test_any_bytes_in_any_pieces_give_the_same_reports(log: bytes, sizes: list[int]) -> None:
    assert pieces(log, sizes) == list(read(log))


@given(CONSOLES)
def test_what_is_told_is_bounded_and_lies_in_the_console(log: bytes) -> None:
    for report in read(log):
        assert len(report.text) <= TEXT_LINES
        assert all(len(line) <= LINE_KEPT for line in report.text)
        assert len(report.title) <= 160
        assert len(report.fingerprint) <= 300
        assert report.title.isprintable()
        assert report.fingerprint.isprintable()
        assert 0 <= report.offset < len(log)
        assert report.number == log.count(b"\n", 0, report.offset) + 1


@given(CONSOLES)
def test_the_work_is_linear(log: bytes) -> None:
    """Each byte is passed over at most once by each search, and read at most once."""
    reader = OopsReader()
    reader.feed(log)
    reader.end()
    assert reader.scanned <= SEARCHES * len(log)
    assert reader.looked <= len(log)


@given(st.sampled_from(LOGS), st.sampled_from(LOGS))
def test_two_cpus_with_callers_do_not_disturb_each_other(one: str, other: str) -> None:
    """Line by line in turn, each in its own lane: the same crashes as one after the other."""
    first, second = (stamped(*_said(name), caller=lane).splitlines() for name, lane in ((one, "T1"), (other, "T2")))
    if any(word in line for word in ("rcu: INFO", "lockup", "LOCKUP") for line in (*first, *second)):
        return  # these have other CPUs speak for them
    longest = max(len(first), len(second))
    mixed = [line for n in range(longest) for part in (first, second) for line in part[n : n + 1]]
    alone = [report.fingerprint for part in (first, second) for report in read("\n".join(part) + "\n")]
    assert sorted(report.fingerprint for report in read("\n".join(mixed) + "\n")) == sorted(alone)


def _said(name: str) -> list[str]:
    return [line.text for raw in console(name).splitlines() for line in lines(raw, 0, 1) if line.lane != USER]


# Prefixes.


@pytest.mark.parametrize(
    ("raw", "text", "lane", "at"),
    [
        ("[    1.500000] x", "x", "", 1.5),
        ("<4>[    1.500000] x", "x", "", 1.5),
        ("[    1.500000][  T12]  x", " x", "T12", 1.5),
        ("[    1.500000] [     T12] x", "x", "T12", 1.5),
        ("[    1.500000][    C3] x", "x", "C3", 1.5),
        ("Nov 23 09:14:01 dut1 kernel: [    1.500000] x", "x", "", 1.5),
        ("Nov 23 09:14:01 dut1 kernel: x", "x", "", None),
        ("2026-11-23T09:14:01.123456+00:00 dut1 kernel: x", "x", "", None),
        ("[Mon Nov 23 09:14:01 2026] x", "x", "", None),
        ("4,1100,1500000,-,caller=T12;x", "x", "T12", 1.5),
        ("6,1100,1500000,-;x", "x", "", 1.5),
        ("<6>x", "x", "", None),
        ("\x1b[32m[    1.500000] \x1b[0m\x1b[31mx\x1b[0m", "x", "", 1.5),
        ("Nov 23 09:14:01 dut1 sshd[3]: x", "Nov 23 09:14:01 dut1 sshd[3]: x", USER, None),
        ("# x", "# x", USER, None),
    ],
)
def test_prefixes(raw: str, text: str, lane: str, at: float | None) -> None:
    (line,) = lines(raw.encode(), 0, 1)
    assert (line.text, line.lane, line.at) == (text, lane, at)


def test_a_stamp_in_the_middle_begins_a_line_of_the_kernel() -> None:
    found = [(line.text, line.lane) for line in lines(b"~# ls[    1.500000] a[    1.500001][  T12] b\r\n", 7, 3)]
    assert found == [("~# ls", USER), ("a", ""), ("b", "T12")]


# Reports.


def test_a_report_says_where_it_is() -> None:
    (report,) = read(b"quiet\n" * 3 + WARNING.encode())
    assert (report.offset, report.number, report.at) == (18, 4, 1.000001)
    assert (report.source, report.functions) == ("net/core/dev.c:17", ("first_f", "second_f"))
    assert report.text[0].startswith("------------[ cut here")
    assert str(report) == "WARNING in first_f (warning:first_f:second_f)"


def test_a_report_comes_when_the_next_line_shows_that_it_is_whole() -> None:
    reader = OopsReader()
    assert reader.feed(WARNING.encode()) == []
    assert reader.open
    quiet = stamped(*["eth0: link up"] * 4, caller="T7").encode()
    assert [report.broken for report in reader.feed(quiet)] == [""]
    assert not reader.open


def test_a_lane_that_falls_silent_is_closed_by_the_lines_of_others() -> None:
    begun = "".join(WARNING.splitlines(keepends=True)[:5])
    reader = OopsReader()
    assert len(reader.feed((begun + stamped(*["eth0: link up"] * 3000, caller="T8")).encode())) == 1


def test_the_machine_that_stops_makes_its_report_fatal() -> None:
    panic = stamped("Kernel panic - not syncing: kernel: panic_on_warn set ...", caller="T7")
    (report,) = read(WARNING + panic)
    assert report.fatal
    (_, other) = read(WARNING + stamped("Kernel panic - not syncing: Attempted to kill init!", caller="T1"))
    assert (other.kind, other.fatal) == ("panic", True)


def test_a_panic_without_words_has_a_title() -> None:
    assert titles(stamped("Kernel panic - not syncing: ")) == ["Kernel panic - not syncing:"]


def test_user_space_says_bug_as_often_as_it_likes() -> None:
    assert titles("BUG: in my program\nWARNING: low on paper\nOops!\nINFO: task done\nkernel BUG\n") == []
    assert titles(stamped("BUG: in the kernel")) == ["BUG: in the kernel"]


def test_so_many_reports_are_given_and_the_others_counted() -> None:
    reader = OopsReader(most=3)
    found = reader.feed(WARNING.encode() * 10)
    assert len(found + reader.end()) == 3
    assert reader.dropped == 7


def test_so_many_reports_are_open_at_one_time() -> None:
    log = "".join(stamped("BUG: KASAN: a in f+0x1/0x2", caller=f"T{n}") for n in range(LANES + 5))
    assert [report.broken for report in read(log)].count("too many at one time") == 5


def test_a_report_without_end_is_closed() -> None:
    reader = OopsReader()
    endless = stamped(*(["BUG: KASAN: a in f+0x1/0x2"] + [" f+0x1/0x2"] * (MOST_LINES + 10)))
    (report,) = reader.feed(endless.encode())
    assert len(report.text) == TEXT_LINES


def test_backtraces_that_were_asked_for_join_whoever_asks() -> None:
    asking = stamped(
        "rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:", "Sending NMI from CPU 1 to CPUs 0:", caller="C1"
    )
    answer = stamped("NMI backtrace for cpu 0", "RIP: 0010:busy_f+0x1/0x2", "Call Trace:", " up_f+0x1/0x2", caller="C0")
    assert titles(asking + answer) == ["INFO: rcu detected stall in busy_f"]
    assert titles(answer) == ["NMI backtrace in up_f"]


# What NIPA calls them.


def test_nipa_s_prefixes_to_skip() -> None:
    (report,) = read(console("irq-nobody-cared-6.10"))
    assert report.nipa == "dump_stack_lvl:__report_bad_irq:note_interrupt:handle_irq_event:handle_edge_irq"
    skipped = nipa_form(report.needles, [["other"], ["dump_stack_lvl", "__report_bad_irq"]])
    assert skipped == "note_interrupt:handle_irq_event:handle_edge_irq:__common_interrupt:common_interrupt"


# Rules.


@pytest.mark.parametrize(
    "pattern",
    ["WARNING in first_f", "WARNING in *", "warning:first_f:second_f", "warning:first_f:*"],
)
def test_a_rule_lets_pass_and_nothing_vanishes(pattern: str) -> None:
    other = WARNING.replace("first_f", "third_f").replace(
        "WARNING: CPU", "kernel BUG at a.c:1!\n[    1.000002][   T7] CPU"
    )
    judged = judge(read(WARNING + other), [Rule("nothing", "-"), Rule(pattern, "known, mail of 3 May")])
    assert [report.title for report in judged.crashes] == ["kernel BUG in third_f"]
    assert [(report.title, reason) for report, reason in judged.passed] == [
        ("WARNING in first_f", "known, mail of 3 May")
    ]


def test_a_rule_may_say_it_in_nipa_s_words() -> None:
    reports = read(console("kmemleak-debugfs-4.19"))
    known = Rule("kzalloc_node:qdisc_alloc:qdisc_create:tc_modify_qdisc", "known")
    assert judge(reports, [known]).crashes == ()


def test_what_is_told_twice_counts_once() -> None:
    judged = judge(read(console("netdevice-4.19")))
    assert len(judged.crashes) == 1


@pytest.mark.parametrize(
    "name", ["page-allocation-6.1", "oom-6.1", "kmemleak-log-only", "sysrq-backtraces-are-no-crash"]
)
def test_what_accuses_nobody_is_told_and_does_not_count(name: str) -> None:
    judged = judge(read(console(name)))
    assert judged.crashes == ()
    assert [reason for _, reason in judged.passed] != []
