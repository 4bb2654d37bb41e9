"""What kernel-doc prints, in the forms of its versions, and what of it is new."""

from services.executor.checks.kdoc import Complaint, complaints, names_of, said
from tests.services.executor.checks.subjects import DIFF, GONE, MOVED, NEW, a_patch


def test_forms() -> None:
    output = """\
net/x.c:12: warning: Function parameter 'a' not described in 'f'
Warning: net/x.c:13 Excess function parameter 'b' description in 'f'
net/x.c:14: error: Cannot parse struct or union!
./net/x.c:15: warning: missing initial short description on line:
 * f -@

Error: Cannot open file net/y.c
3 warnings
1 warnings as Errors
""".replace("@", " ")
    assert complaints(output) == [
        Complaint("warning", "net/x.c", "Function parameter 'a' not described in 'f'", 12),
        Complaint("warning", "net/x.c", "Excess function parameter 'b' description in 'f'", 13),
        Complaint("error", "net/x.c", "Cannot parse struct or union!", 14),
        Complaint("warning", "net/x.c", "missing initial short description on line: * f -", 15),
        Complaint("unknown", "", "Error: Cannot open file net/y.c"),
    ]


def complaint(text: str, line: int, path: str = "x.c") -> Complaint:
    return Complaint("warning", path, text, line)


def test_lines_do_not_count() -> None:
    was = [complaint("a", 1), complaint("Cannot understand on line 5 - I thought", 5)]
    now = [complaint("Cannot understand on line 9 - I thought", 9), complaint("a", 7)]
    answer = said(was, now, ["x.c"])
    assert (answer.state, answer.text) == ("success", "Warnings before: 2 after: 2")
    assert [finding.new for finding in answer.findings] == [False, False]


def test_new_ones_come_first() -> None:
    answer = said([complaint("a", 1), complaint("b", 2)], [complaint("a", 1), complaint("c", 3)], ["x.c"])
    assert (answer.state, answer.text) == ("fail", "Warnings before: 2 after: 2 (add: 1 del: 1)")
    assert [(finding.text, finding.new) for finding in answer.findings] == [("c", True), ("a", False)]
    assert answer.counts == {"before": 2, "after": 2, "add": 1, "del": 1}


def test_fewer_is_no_fault() -> None:
    answer = said([complaint("a", 1)], [], [])
    assert (answer.state, answer.text) == ("success", "Warnings before: 1 after: 0 (del: 1)")


def test_names_before_and_after() -> None:
    diff = DIFF.format("a.c") + NEW.format("b.c") + GONE.format("c.c") + MOVED.format("d.c", "e.c")
    assert names_of(a_patch(diff=diff)) == {"a.c": "a.c", "b.c": "", "c.c": "c.c", "e.c": "d.c"}
