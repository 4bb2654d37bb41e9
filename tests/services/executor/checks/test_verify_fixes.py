"""What is wrong with Fixes: tags, once it is known which commits there are."""

from services.executor.checks.verify_fixes import Target, faults, said
from shared.formats.fixes_tag import fixes_tags

SHA = "0123456789ab"
GOOD = Target(1, sha=SHA + "0" * 28, title="net: x")


def test_no_tag() -> None:
    assert said((), {}).text == "No Fixes tag"


def test_one_good_tag() -> None:
    answer = said(fixes_tags(f'Fixes: {SHA} ("net: x")'), {SHA: GOOD})
    assert (answer.state, answer.text, answer.findings) == ("success", "Fixes tag looks correct", ())


def test_targets() -> None:
    (tag,) = fixes_tags(f'Fixes: {SHA} ("net: x")')
    assert faults(tag, Target()) == ("target SHA1 does not exist",)
    assert faults(tag, Target(elsewhere=2)) == ("target is not an ancestor of this commit",)
    assert faults(tag, Target(2)) == ("SHA1 is ambiguous, 2 commits begin so",)
    assert faults(tag, Target(1, sha=SHA, title="net: y")) == ("title does not match target commit's",)


def test_many_faults_are_counted_and_three_are_named() -> None:
    tags = fixes_tags(f'Fixes: {SHA} ("net: x")\nFixes: commit 1234567("net: y)\nFixes: nothing\n')
    answer = said(tags, {SHA: GOOD})
    assert answer.text == (
        "Problems with Fixes tag: 6 (leading word 'commit' unexpected, SHA1 should be at least 12 digits long, "
        "no space between SHA1 and title, …)"
    )
    assert len(answer.findings) == 6
    assert answer.findings[-1].text == "no SHA1 recognised: Fixes: nothing"


def test_what_is_meant_is_shown() -> None:
    answer = said(fixes_tags(f'Fixes: {SHA} ("net: y")'), {SHA: GOOD})
    assert f'meant is perhaps: Fixes: {SHA} ("net: x")' in answer.log


def test_what_was_not_looked_at_is_not_well() -> None:
    tags = fixes_tags(f'Fixes: {SHA} ("net: x")')
    answer = said(tags, {SHA: GOOD}, "50 Fixes tags")
    assert (answer.state, answer.text) == ("warning", "More than 50 Fixes tags, the rest was not looked at")
    assert said((), {}, "500 commits").state == "warning"
    assert said(tags, {}, "500 commits").state == "fail"
