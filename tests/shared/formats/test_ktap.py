"""KTAP: rules one by one, and what must hold for any bytes."""

import time
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.formats.ktap import KtapParser, Report, read, to_cases
from shared.model.results import Case, Cause, Result


def results(report: Report) -> dict[str, Result]:
    return {point.name: point.result for point in report.points}


def cases(text: str, exit_code: int | None = 0, *, timed_out: bool = False) -> tuple[Case, ...]:
    return to_cases(
        text, group="net", test="t.sh", exit_code=exit_code, timed_out=timed_out,
        seconds=3.0, attempt=1, log="t/stdout",
    )  # fmt: skip


# What a log says.


@pytest.mark.parametrize(
    ("line", "result", "name"),
    [
        ("ok 1 a", Result.PASS, "a"),
        ("ok 1 - a", Result.PASS, "a"),
        ("ok 1 -a", Result.PASS, "-a"),
        ("ok 1", Result.PASS, "1"),
        ("not ok 1 a.b: c, d", Result.FAIL, "a.b: c, d"),
        ("not ok 1 a # SKIP", Result.SKIP, "a"),
        ("ok 1 a # skip no device", Result.SKIP, "a"),
        ("ok 1 a #SKIP no device", Result.SKIP, "a"),
        ("ok 1 # SKIP a", Result.SKIP, "a"),
        ("ok 1 a # skipped: 0", Result.PASS, "a"),
        ("not ok 1 a # XFAIL", Result.XFAIL, "a"),
        ("not ok 1 a # TIMEOUT 45 seconds", Result.FAIL, "a"),
        ("not ok 1 a # exit=139", Result.FAIL, "a"),
        ("not ok 1 a # ERROR", Result.ERROR, "a"),
        ("ok 1 a # time=9ms # SKIP", Result.SKIP, "a"),
        ("ok 1 a # whatever SKIP", Result.PASS, "a"),
    ],
)
def test_result_line(line: str, result: Result, name: str) -> None:
    (point,) = read(line).points
    assert (point.result, point.name) == (result, name)


@pytest.mark.parametrize(
    ("text", "seconds", "detail"),
    [
        ("time=9ms", 0.009, ""),
        ("time=1.5s", 1.5, ""),
        ("time=250us", 0.00025, ""),
        ("SKIP no mausezahn # time=1ms", 0.001, "no mausezahn"),
        ("time=12", None, "time=12"),
        ("exit=1", None, "exit=1"),
    ],
)
def test_duration(text: str, seconds: float | None, detail: str) -> None:
    (point,) = read(f"ok 1 a # {text}").points
    assert (point.seconds, point.detail) == (seconds, detail)


@pytest.mark.parametrize(
    "line",
    ["ok", "ok a", "ok 2 a", "okay 1 a", "OK 1 a", " ok 1 a", "x ok 1 a", "[ 1.0] ok 1 a", "ok 1a", "1.. 5", "1..5 a"],
)
def test_a_line_that_only_looks_like_a_result_is_none(line: str) -> None:
    assert read(line) == Report()


def test_plan_of_a_billion_costs_one_point() -> None:
    report = read("1..999999999\nok 1 a\n")
    assert results(report) == {"a": Result.PASS, "missing 2..999999999": Result.ERROR}


def test_plan_may_come_last_or_never() -> None:
    assert results(read("ok 1 a\nok 2 b\n1..2\n")) == results(read("ok 1 a\nok 2 b\n"))
    assert "missing 3" in results(read("ok 1 a\nok 2 b\n1..3\n"))


def test_more_results_than_planned_is_a_fault_but_no_failure() -> None:
    report = read("1..1\nok 1 a\nok 2 b\n")
    assert report.faults == ("plan says 1, 2 came",)
    assert not report.unsound


def test_children_go_to_the_parent_that_follows() -> None:
    report = read("1..2\n# # ok 1 deep\n# ok 1 child\nok 1 a\nok 2 b\n")
    assert [point.path for point in report.points] == [("a",), ("a", "child"), ("a", "child", "deep"), ("b",)]


def test_totals_that_disagree_make_the_parent_an_error() -> None:
    report = read("1..1\n# ok 1 child\n# # Totals: pass:2 fail:0\nok 1 a\n")
    assert results(report)["a"] is Result.ERROR
    assert report.points[0].detail == "totals say pass:2, the log has 1"


def test_nesting_is_capped() -> None:
    lines = [f"{'# ' * depth}ok 1 d{depth}" for depth in range(40)]
    report = read(["TAP version 13", *(f"{'# ' * depth}1..1" for depth in range(40)), *reversed(lines)])
    assert max(point.depth for point in report.points) == 15
    assert "nested deeper than 16" in report.faults


def test_number_of_results_is_capped_and_the_rest_is_no_pass() -> None:
    text = "".join(f"ok {n} t{n}\n" for n in range(1, 50))
    report = read(text, max_results=10)
    assert len(report.points) == 10
    assert report.unsound
    head, *_ = to_cases(
        text, group="g", test="t", exit_code=0, timed_out=False, seconds=None, attempt=0, log="", max_results=10
    )
    assert head.result is Result.ERROR


@pytest.mark.parametrize("line", ["# selftests: a: b", "1..1", "1..0 # SKIP", "TAP version 13\n1..1", "# 1..1\n1..1"])
def test_lines_that_make_results_of_nothing_are_capped_too(line: str) -> None:
    assert len(read(f"{line}\n" * 5000, max_results=100).points) <= 200


def test_long_lines_and_names_are_cut() -> None:
    parser = KtapParser()
    parser.feed("ok 1 " + "é" * 100)
    for _ in range(40):
        parser.feed("é" * 1_000_000)
    parser.feed("\nok 2 b\n")
    report = parser.finish()
    assert [point.name for point in report.points] == ["é" * 256, "b"]


def test_names_stay_unique_when_cut() -> None:
    long = "x" * 2000
    report = read("".join(f"ok {n} {long}{n}\n" for n in range(1, 30)))
    names = {point.name for point in report.points}
    assert len(names) == 29
    assert max(len(name.encode()) for name in names) <= 512


def test_running_names_the_test_in_progress() -> None:
    parser = KtapParser()
    parser.feed("TAP version 13\n1..2\n# selftests: net: a.sh\n# #  RUN           s.one ...\n# ok 1 s.one\n")
    assert parser.running == "selftests: net: a.sh"
    parser.feed("ok 1 selftests: net: a.sh\n")
    assert parser.running == ""


def test_half_a_last_line_counts_only_if_the_program_ended() -> None:
    assert results(read("1..2\nok 1 a\nok 2 ab")) == {"a": Result.PASS, "ab": Result.PASS}
    cut = results(read("1..2\nok 1 a\nok 2 ab", cut_short=True))
    assert cut == {"a": Result.PASS, "missing 2": Result.NOT_RUN}


# What it is worth.


@pytest.mark.parametrize(
    ("text", "exit_code", "result", "cause"),
    [
        ("", 0, Result.PASS, None),
        ("", 4, Result.SKIP, None),
        ("", 1, Result.FAIL, None),
        ("", 139, Result.FAIL, None),
        ("", 124, Result.FAIL, Cause.TIMEOUT),
        ("", None, Result.NOT_RUN, Cause.INFRA),
        ("ok 1 a\nok 2 b # SKIP", 0, Result.PASS, None),
        ("ok 1 a # SKIP\nok 2 b # SKIP", 0, Result.SKIP, None),
        ("1..0 # SKIP no veth", 0, Result.SKIP, None),
        ("ok 1 a\nnot ok 2 b # XFAIL", 0, Result.PASS, None),
        ("ok 1 a\nnot ok 2 b", 0, Result.FAIL, None),
        ("ok 1 a\nnot ok 2 b", 4, Result.FAIL, None),
        ("1..2\nok 1 a", 0, Result.ERROR, Cause.TEST),
        ("ok 1 a\n# Totals: pass:2 fail:0", 0, Result.ERROR, Cause.TEST),
        ("ok 1 a", 1, Result.FAIL, None),
        ("ok 1 a\nnot ok 2 b", None, Result.NOT_RUN, Cause.INFRA),
        ("# ok 1 a\nok 1 selftests: net: t.sh", 0, Result.PASS, None),
        ("# ok 1 a\nnot ok 1 selftests: net: t.sh # exit=1", 0, Result.FAIL, None),
        ("not ok 1 selftests: net: t.sh # TIMEOUT 45 seconds", 1, Result.FAIL, Cause.TIMEOUT),
        ("ok 1 selftests: net: t.sh # SKIP", 0, Result.SKIP, None),
        ("# selftests: net: t.sh\n# ok 1 a", 0, Result.ERROR, Cause.TEST),
        ("# 1..1\n# ok 1 a\n# # Totals: pass:9\nok 1 selftests: net: t.sh", 0, Result.ERROR, Cause.TEST),
        ("# not ok 1 a\nok 1 selftests: net: t.sh", 0, Result.FAIL, None),
        ("# not ok 1 a\nnot ok 1 b\n", 0, Result.FAIL, None),
    ],
)
def test_case_of_a_program(text: str, exit_code: int | None, result: Result, cause: Cause | None) -> None:
    test, *_ = cases(text, exit_code)
    assert (test.result, test.cause) == (result, cause)
    assert (test.group, test.test, test.seconds, test.attempt, test.log) == ("net", "t.sh", 3.0, 1, "t/stdout")


def test_detail_says_which_subtest_failed_a_program_that_exited_0() -> None:
    assert cases("ok 1 a\nnot ok 2 b # exit=3")[0].detail == "subtest b: exit=3"


def test_a_time_limit_is_a_timeout_and_what_is_missing_did_not_run() -> None:
    test, first, rest = cases("1..3\nok 1 a\n", 0, timed_out=True)
    assert (test.result, test.cause, test.detail) == (Result.FAIL, Cause.TIMEOUT, "timed out after 3 s")
    assert (first.result, rest.result, rest.cause) == (Result.PASS, Result.NOT_RUN, Cause.TIMEOUT)


def test_the_subtest_that_was_running_when_time_ran_out_is_the_one_that_failed() -> None:
    _, done, running, never = cases("1..3\nok 1 s.a\n#  RUN           s.b ...\n", 124)
    assert (running.subtest, running.result, running.cause) == ("s.b", Result.FAIL, Cause.TIMEOUT)
    assert (done.result, never.result) == (Result.PASS, Result.NOT_RUN)


def test_bail_out_is_no_pass_and_says_why() -> None:
    assert cases("1..1\nok 1 a\nBail out! no memory\n", 0)[0].result is Result.ERROR
    assert cases("ok 1 a\nBail out! no memory\n", 1)[0].detail == "exit=1: no memory"
    assert cases("# Bail out! no memory\nnot ok 1 selftests: net: t.sh # exit=1\n", 0)[0].detail == "exit=1: no memory"


def test_the_runners_wrapping_leaves_no_trace_in_names() -> None:
    wrapped = cases("TAP version 13\n1..1\n# selftests: net: t.sh\n# ok 1 a\n# ok 2 b\nok 1 selftests: net: t.sh\n")
    assert wrapped == cases("ok 1 a\nok 2 b\n")


# What holds for anything.

PIECES = [
    "ok 1 a", "not ok 2 b", "# ", "  ", "\n", "\r", "1..3", "1..0 # SKIP", "TAP version 13", "KTAP version 1",
    "# Subtest: s", "# Totals: pass:1 fail:0", "# selftests: net: x", "#  RUN           a.b ...", " # SKIP",
    " # XFAIL", " # time=3ms", " # exit=1", "ok 99999999999 z", "\udcff", "\x00", "\x1b[1m", "#", "ok ", "noise",
    "Bail out! x",
]  # fmt: skip
logs = st.lists(st.sampled_from(PIECES) | st.text(max_size=8), max_size=60).map("".join)


@given(logs)
def test_any_log_gives_a_report_that_can_be_stored(log: str) -> None:
    report = read(log)
    names = [point.name for point in report.points]
    assert len(set(names)) == len(names)
    for point in report.points:
        assert 0 < len(point.name.encode()) <= 512
        assert not set("\0\n\x1b") & set(point.name + point.detail)
    rows = cases(log)
    assert len({row.subtest for row in rows}) == len(rows)


@given(logs, st.data())
def test_cutting_the_stream_anywhere_changes_nothing(log: str, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(log)), max_size=6)))
    parser = KtapParser()
    for begin, end in zip([0, *cuts], [*cuts, len(log)], strict=True):
        parser.feed(log[begin:end])
        assert isinstance(parser.running, str)
    assert parser.finish() == read(log)


@given(st.lists(st.text(max_size=200), max_size=30), st.integers(0, 40_000))
def test_lines_longer_than_any_buffer_change_nothing_either(parts: list[str], size: int) -> None:
    log = ("\n" + "x" * size).join(parts)
    parser = KtapParser()
    for at in range(0, len(log), 7001):
        parser.feed(log[at : at + 7001])
        assert isinstance(parser.running, str)
    assert parser.finish() == read(log)


@given(st.binary(max_size=300))
def test_any_bytes(raw: bytes) -> None:
    read(raw.decode("utf-8", "surrogateescape"))
    read(raw.decode("latin-1"))


@given(logs)
def test_kernel_messages_between_lines_change_no_result(log: str) -> None:
    noise = "[   12.345678][  T99] br0: port 1(veth0) entered blocking state"
    lines = log.split("\n")
    noisy = [part for line in lines for part in (line, noise)]
    assert results(read(noisy)) == results(read([*lines, ""]))


words = st.text("abcdefgh.:_ ", min_size=1, max_size=12).map(str.strip).filter(bool)
outcomes = st.sampled_from([Result.PASS, Result.FAIL, Result.SKIP, Result.XFAIL, Result.ERROR])
LINE = {
    Result.PASS: "ok {} {}",
    Result.FAIL: "not ok {} {}",
    Result.SKIP: "ok {} {} # SKIP",
    Result.XFAIL: "ok {} {} # XFAIL",
    Result.ERROR: "not ok {} {} # ERROR",
}


def render(tree: list[tuple[str, Result, list[tuple[str, Result]]]], indent: str) -> Iterable[str]:
    yield "KTAP version 1"
    yield f"1..{len(tree)}"
    for number, (name, result, children) in enumerate(tree, 1):
        if children:
            yield f"{indent}KTAP version 1"
            yield f"{indent}1..{len(children)}"
        for n, (child, said) in enumerate(children, 1):
            yield indent + LINE[said].format(n, child)
        yield LINE[result].format(number, name)


@given(
    st.lists(st.tuples(words, outcomes, st.lists(st.tuples(words, outcomes), max_size=4)), min_size=1, max_size=5),
    st.sampled_from(["# ", "  ", "    "]),
)
def test_reading_what_was_written_gives_it_back(
    tree: list[tuple[str, Result, list[tuple[str, Result]]]], indent: str
) -> None:
    report = read(render(tree, indent))
    wanted = [(name, said) for name, result, children in tree for name, said in [(name, result), *children]]
    found = [(point.path[-1].split("#")[0], point.said) for point in report.points]
    assert found == wanted
    assert report.faults == ()


def test_hostile_sizes_take_linear_time() -> None:
    begin = time.process_time()
    for piece in (
        "# " * 100,
        " " * 200,
        "ok 1 # SKIP # ",
        "#\t# ",
        "1..1" + " " * 200,
        "time=",
        "\x1b[",
        "not ok 1 # ",
    ):
        read(piece * 20_000)
        read((piece + "\n") * 20_000)
    assert time.process_time() - begin < 20
