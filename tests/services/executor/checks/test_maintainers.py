"""New files and the entries that answer for them."""

import pytest

from services.executor.checks.maintainers import Cover, MaintainersConfig, covers, new_files, said
from shared.formats.maintainers import Section, Tree
from tests.services.executor.checks.subjects import DIFF, GONE, MOVED, NEW, a_patch, a_series

CONFIG = MaintainersConfig()


def test_new_files_of_a_series() -> None:
    diffs = [
        NEW.format("a.c") + NEW.format("b.c") + NEW.format("tools/testing/x.sh") + DIFF.format("old.c"),
        GONE.format("b.c") + MOVED.format("a.c", "c.c") + MOVED.format("old.c", "older.c"),
    ]
    subject = a_series(*(a_patch(number, diff=diff) for number, diff in enumerate(diffs, 1)))
    assert new_files(subject, CONFIG.leave) == ("c.c",)


def test_covers_counts_old_files_apart() -> None:
    tree = Tree.of(["d/Kconfig", "d/a.c", "d/b.c", "e/c.c"])
    found = covers(["d/Kconfig", "d/a.c"], [Section("D", ("d/",)), Section("E", ("e/",))], tree)
    assert found == (Cover("d/a.c", (("D", 3, 1),)),)


def entry(files: int, old: int = 0) -> Cover:
    return Cover("d/a.c", (("THE REST", 80_000, 79_000), ("D", files, old)))


def test_said() -> None:
    good, missing = "MAINTAINERS coverage looks sufficient", "Expecting a new MAINTAINERS entry"
    for files, state, text in ((74, "success", good), (75, "warning", missing), (499, "warning", missing),
                               (500, "fail", missing), (0, "fail", missing)):  # fmt: skip
        answer = said([entry(files)], CONFIG, driver=False)
        assert (files, answer.state, answer.text) == (files, state, text)


def test_the_worst_file_counts() -> None:
    assert said([entry(10), entry(400), entry(900)], CONFIG, driver=False).state == "fail"
    assert said([entry(10), entry(400)], CONFIG, driver=False).state == "warning"
    assert said([], CONFIG, driver=True).state == "success"
    assert said([Cover("d/a.c", ())], CONFIG, driver=False).state == "fail"


def test_a_new_driver_needs_an_entry_of_its_own() -> None:
    assert said([entry(40, old=2)], CONFIG, driver=True).state == "success"
    assert said([entry(40, old=3)], CONFIG, driver=True).state == "warning"


def test_hostile_names_stay_words_of_the_command() -> None:
    answer = said([Cover("a;reboot", ())], CONFIG, driver=False)
    assert answer.repeat == "./scripts/get_maintainer.pl --sections -f 'a;reboot'"


def test_a_file_made_to_be_slow_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.executor.checks.maintainers._MOST_EFFORT", 1_000_000)
    new = [f"drivers/net/x/{number}.c" for number in range(200)]
    slow = [Section("X", ("dr*q*z",) * 2000)]
    found = covers(new, slow * 10, Tree.of(new))
    assert len(found) < 100
    answer = said(covers(new, slow * 1000, Tree.of(new)), CONFIG, driver=False, left=200)
    assert answer.state == "warning"
    assert answer.text == "Too much to look through: MAINTAINERS coverage of 200 new files is not known"


def test_counting_the_files_of_entries_comes_to_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.executor.checks.maintainers._MOST_EFFORT", 1_000_000)
    new = [f"d/{number}.c" for number in range(500)]
    found = covers(new, [Section(str(n), ("d/",) * 50) for n in range(50)], Tree.of(new))
    assert len(found) < len(new)
