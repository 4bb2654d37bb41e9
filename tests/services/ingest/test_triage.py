"""Which trees, and why."""

import pytest

from services.ingest.assemble import Assembled, Patch
from services.ingest.sources.base import Pull
from services.ingest.triage import Decision, triage
from shared.formats.subject import parse_subject
from shared.model.mails import Person
from shared.settings import Tree, Triage

TREES = {
    "net-next": Tree(git="x", tags=("net-next",), kind="next"),
    "net": Tree(git="x", tags=("net",), kind="fixes"),
}
RULES = Triage.model_validate(
    {"ours": ["net/", "drivers/net/"], "also": ["include/", "Documentation/"], "not": ["net/ceph/"],
     "ignore_subjects": ["can"]}
)  # fmt: skip


def a_patch(*files: str, title: str = "x", fixes: tuple[str, ...] = ()) -> Patch:
    return Patch(1, 1, "m@x", title, Person("", ""), files, fixes)


def decide(
    subject: str, *patches: Patch, cover: bool = False, pull: bool = False, trees: dict[str, Tree] | None = None
) -> Decision:
    parsed = parse_subject(subject)
    series = Assembled(
        "m@x", "c@x" if cover else "", parsed.raw, parsed.title, 1, False, tuple(t.lower() for t in parsed.tags), (),
        patches or (a_patch("net/core/dev.c", title=parsed.title),), Pull("git://x y", 1) if pull else None,
    )  # fmt: skip
    return triage(series, RULES, TREES if trees is None else trees)


@pytest.mark.parametrize(
    ("subject", "trees", "marked"),
    [
        ("[PATCH net-next v2 1/3] x", ("net-next",), True),
        ("[PATCH net] x", ("net",), True),
        ("[net,v2,1/3] x", ("net",), True),
        ("[PATCH NET-NEXT] x", ("net-next",), True),
        ("[PATCH ethernet] x", ("net-next", "net"), False),
        ("[PATCH] net: foo [net]", ("net-next", "net"), False),
        ("[PATCH bpf-next/net] x", ("net-next", "net"), False),
        ("[PATCH net,net-next] x", ("net", "net-next"), True),
    ],
)
def test_tags_are_whole_words(subject: str, trees: tuple[str, ...], marked: bool) -> None:
    decision = decide(subject)
    assert (decision.trees, decision.marked) == (trees, marked)


def test_a_mark_is_enough_whatever_the_files() -> None:
    decision = decide("[PATCH net] x", a_patch("mm/slab.c"))
    assert (decision.rule, decision.reason) == ("tag: net", "Clearly marked for net")


@pytest.mark.parametrize(
    ("files", "local"),
    [
        ([("net/core/dev.c",)], True),
        ([("net/core/dev.c", "include/linux/x.h")], True),
        ([("include/linux/x.h",)], False),
        ([("net/ceph/x.c",)], False),
        ([("net/core/dev.c", "mm/slab.c")], False),
        ([("net/core/dev.c", "net/ceph/x.c")], False),
        ([("mm/slab.c",), ("net/core/dev.c",)], True),
        ([()], False),
    ],
)
def test_unmarked_series_are_judged_by_their_files(files: list[tuple[str, ...]], local: bool) -> None:
    assert bool(decide("[PATCH] x", *(a_patch(*paths) for paths in files)).trees) is local


def test_why_it_is_not_local() -> None:
    assert decide("[PATCH] x", a_patch("mm/slab.c")).reason == "Not a local patch"
    mixed = decide("[PATCH] x", a_patch("net/a.c", "mm/slab.c"))
    assert mixed.reason == "Not a local patch: each patch also touches files of others, such as mm/slab.c"


def test_a_fix_is_tried_on_the_fixes_tree_first() -> None:
    decision = decide("[PATCH] x", a_patch("net/a.c", fixes=("0123456789ab",)))
    assert (decision.trees, decision.reason) == (
        ("net", "net-next"), "Not marked; it has Fixes: lines, so net is tried first"
    )  # fmt: skip


@pytest.mark.parametrize(("title", "ignored"), [("can: isotp: x", True), ("Can: x", True), ("cancel: x", False)])
def test_ignored_subjects(title: str, ignored: bool) -> None:
    decision = decide(f"[PATCH net] {title}")
    assert decision.rule.startswith("ignore_subjects: can") is ignored
    assert not decision.trees or not ignored


def test_one_patch_of_an_ignored_part_is_not_enough() -> None:
    patches = (a_patch("net/a.c", title="can: x"), a_patch("net/a.c", title="tcp: y"))
    assert decide("[PATCH 1/2] can: x", *patches).trees
    assert not decide("[PATCH 0/2] can: x", *patches, cover=True).trees


@pytest.mark.parametrize(
    ("subject", "tree"),
    [
        ("[GIT PULL] Networking for 6.20-rc3", "net"),
        ("[GIT PULL] bluetooth-next 2026-11-20", "net-next"),
        ("[GIT PULL net] wireless 2026-11-20", "net"),
    ],
)
def test_pull_requests(subject: str, tree: str) -> None:
    decision = decide(subject, a_patch(), pull=True)
    assert (decision.trees[0], decision.reason) == (tree, f"Pull request for {tree}")


def test_without_trees_nothing_is_ours() -> None:
    assert decide("[PATCH] x", trees={}).trees == ()
    assert decide("[GIT PULL] x", pull=True, trees={}).trees == ()
