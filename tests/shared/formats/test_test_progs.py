"""What test_progs prints: names, outcomes, counts that must agree, and messages from the JSON."""

from hypothesis import given
from hypothesis import strategies as st

from shared.formats.test_progs import Told, read
from shared.model.results import Result

TEXT = """\
libbpf: a line of a library
#1       align:OK
#2/1     btf/raw: a colon in a name:OK
#3/10    cgroup/ipv4:OK
#3       cgroup:OK
#4       flow:FAIL
#5       atomics:SKIP
#123456789/1 long/one:OK\r
Summary: 3/2 PASSED, 1 SKIPPED, 1 FAILED
"""


def test_lines_name_tests_and_subtests() -> None:
    assert read(TEXT) == Told({
        "align": Result.PASS, "btf/raw: a colon in a name": Result.PASS,
        "cgroup/ipv4": Result.PASS, "cgroup": Result.PASS, "flow": Result.FAIL,
        "atomics": Result.SKIP, "long/one": Result.PASS,
    })  # fmt: skip


def test_the_last_summary_counts() -> None:
    assert read("Summary: 9/9 PASSED, 0 SKIPPED, 9 FAILED\n" + TEXT).fault == ""


def test_messages_are_cut_to_their_last_line() -> None:
    json = (
        b'{"success":3,"success_subtest":2,"skipped":1,"failed":1,"results":[{"name":"flow","message":"a\\nb\\n\\n",'
        b'"failed":true,"subtests":[{"name":"x","message":"c"},7]},"nonsense"]}'
    )
    told = read(TEXT, json)
    assert (told.fault, told.why) == ("", {"flow": "b", "flow/x": "c"})


def test_a_json_that_cannot_be_read_is_none() -> None:
    assert read(TEXT, b"[1, 2") == read(TEXT, b"[]") == read(TEXT)


@given(st.text(), st.binary())
def test_anything_is_survived(text: str, json: bytes) -> None:
    assert isinstance(read(text, json).fault, str)
