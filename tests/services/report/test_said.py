"""What checks said, as verdicts of a patch or of the series."""

from services.report.said import Said, of_checks
from services.report.verdicts import Step, Verdict, merge
from shared.model.ids import OWN_REMOTE
from shared.model.results import CheckState


def said(state: str, patch: int = 0, context: str = "vendor-build", remote: str = "vendor", text: str = "") -> Said:
    return Said(context, patch, CheckState(state), text, remote)


def one(part: Said) -> Verdict:
    (verdict,) = of_checks(7, 1, "netdev", [part])
    return verdict


def test_each_patch_is_told_of_itself() -> None:
    verdicts = of_checks(7, 1, "netdev", [said("success", 1), said("fail", 2), said("pending")])
    assert [(v.patch, v.state, v.settled) for v in verdicts] == [
        (1, CheckState.SUCCESS, True), (2, CheckState.FAIL, True), (0, CheckState.PENDING, False)
    ]  # fmt: skip
    assert len({v.key for v in verdicts}) == 3


def test_words_of_ours_stand_as_they_are_and_those_of_labs_say_whose_they_are() -> None:
    ours = one(said("fail", 2, "kdoc", OWN_REMOTE, "Warnings before: 1 after: 2"))
    assert (ours.text, ours.reasons) == ("Warnings before: 1 after: 2", ())
    lab = one(said("fail", 2))
    assert (lab.text, lab.reasons[0].text) == ("vendor: fail", "vendor of patch 2: fail")
    assert one(said("success", context="kdoc", remote=OWN_REMOTE)).text == "success"


def test_text_of_strangers_is_one_line() -> None:
    assert one(said("fail", text="a\x1b[31m\nb" + "c" * 400)).text.startswith("a [31m b")
    assert len(one(said("fail", text="c" * 400)).text) == 255


def test_what_the_ledger_has_turned_is_followed_and_nothing_is_pending_again() -> None:
    good, bad, pending = one(said("success")), one(said("fail")), one(said("pending"))
    assert merge(good, bad).step is Step.CHANGE
    assert merge(bad, good).step is Step.CHANGE
    assert merge(good, good).step is Step.REFRESH
    assert merge(pending, bad).step is Step.CHANGE
    assert merge(bad, pending).step is Step.KEEP
