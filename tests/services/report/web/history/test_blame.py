"""Is a failure the work of one series? Every rule, and the sentence for all."""

import pytest

from services.report.web.history.blame import Blame, Seen, judge_blame, summary


def history(letters: str) -> list[Seen]:
    """The newest first; capitals are branches with the series: p, f, ~ as pass, fail, flaky, s skipped."""
    words = {"p": "pass", "f": "fail", "~": "flaky", "s": "skip", "t": "flaky"}
    return [Seen(f"b{n}", words[letter.lower()], letter.isupper()) for n, letter in enumerate(letters)]


@pytest.mark.parametrize(("letters", "came", "blame", "words"), [
    ("FFpppppp", 0, Blame.LIKELY, "each of the 2 branches with this series, and on none of the 6 branches without"),
    ("Fpppppp", 0, Blame.LIKELY, "the one branch with this series"),
    ("Fpppppp", 7, Blame.PERHAPS, "7 other series came with that branch"),
    ("FPFpppppp", 0, Blame.PERHAPS, "on 2 of the 3 branches with this series"),
    ("Ffppppppp", 0, Blame.UNLIKELY, "on 1 of 8 branches without this series, too, the newest b1"),
    ("fFpppppp", 0, Blame.UNLIKELY, "the newest b0"),
    ("Fpfffppp", 0, Blame.UNSTEADY, "on 3 of 7 branches"),
    ("Fpffffpp", 0, Blame.UNLIKELY, "on 4 of 7 branches"),
    ("Fpp~pppppppp", 0, Blame.UNSTEADY, "on 1 of 11 branches, 9 % (1.6 to 38)"),
    ("Fpppp", 0, Blame.UNKNOWN, "only 4 branches without this series"),
    ("F", 0, Blame.UNKNOWN, "only 0 branches"),
    ("Fspspspspsp", 0, Blame.LIKELY, "none of the 5 branches"),
    ("Fssssssss", 0, Blame.UNKNOWN, "only 0 branches"),
    ("FF" + "p" * 20 + "~" + "p" * 39, 0, Blame.LIKELY, "hardly ever without it"),
])  # fmt: skip
def test_each_rule(letters: str, came: int, blame: Blame, words: str) -> None:
    found = judge_blame(history(letters), came)
    assert found.blame is blame
    assert words in found.text


def test_the_sentence_names_the_worst_there_is() -> None:
    kinds = {
        "likely": judge_blame(history("FFpppppp")), "perhaps": judge_blame(history("FPpppppp")),
        "unknown": judge_blame(history("F")), "unlikely": judge_blame(history("Fffffff")),
    }  # fmt: skip
    assert summary([]) == "Nothing failed on its newest branch."
    assert summary([kinds["likely"]]) == "The failure is likely from this series."
    assert summary([kinds["likely"], kinds["unlikely"]]) == "1 of 2 failures is likely from this series."
    assert summary([kinds["likely"]] * 3) == "3 of 3 failures are likely from this series."
    assert summary([kinds["perhaps"], kinds["unknown"]]) == (
        "1 of 2 failures may be from this series; it came with others."
    )
    assert summary([kinds["perhaps"]]) == "The failure may be from this series; it came with others."
    assert summary([kinds["unknown"]]) == (
        "There are too few branches to tell whether the failure is from this series."
    )
    assert summary([kinds["unlikely"]]) == "The failure is not likely from this series."
    assert summary([kinds["unlikely"]] * 2) == "None of 2 failures is likely from this series."
