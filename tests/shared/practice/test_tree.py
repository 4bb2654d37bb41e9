"""The practice tree: the same for one seed, another for another, and shaped so that git and make can use it."""

from pathlib import Path

from shared.practice.tree import build, git
from shared.practice.tree_files import topics, tree


def test_one_seed_is_one_history(tmp_path: Path) -> None:
    first, again = build(tmp_path / "a", 3), build(tmp_path / "b", 3)
    assert first.heads == again.heads
    assert first.heads != build(tmp_path / "c", 4).heads


def test_both_heads_stand_on_one_base_and_merge(tmp_path: Path) -> None:
    made = build(tmp_path / "tree")
    merged = git(made.path, "merge-tree", "--write-tree", made.heads["main"], made.heads["net"])
    base = git(made.path, "merge-base", "main", "net").decode().strip()
    assert len(merged.decode().strip()) == 40
    assert base not in made.heads.values()


def test_a_commit_can_be_fetched_by_its_id(tmp_path: Path) -> None:
    made = build(tmp_path / "tree")
    parent = git(made.path, "rev-parse", "main~1").decode().strip()
    git(tmp_path, "init", "--quiet", "--bare", "other")
    git(tmp_path / "other", "fetch", "--quiet", made.path.as_uri(), parent)
    assert git(tmp_path / "other", "rev-parse", "FETCH_HEAD").decode().strip() == parent


def test_scripts_can_be_run(tmp_path: Path) -> None:
    made = build(tmp_path / "tree")
    listing = git(made.path, "ls-tree", "main", "tools/testing/selftests/net/").decode()
    modes = {line.split("\t")[1].rpartition("/")[2]: line[:6] for line in listing.splitlines()}
    assert {modes[program] for program in made.tests} == {"100755"}
    assert modes["ktap.sh"] == "100644"


def test_every_table_is_sound_and_has_its_own_files() -> None:
    for seed in range(50):
        made = topics(seed)
        assert len({path for topic in made for path in topic.files()}) == 4 * len(made)
        for topic in made:
            assert all(row.burst <= row.budget for row in topic.rows)
            assert sum(row.budget for row in topic.rows) <= topic.total
            assert topic.files().items() <= tree(seed).items()
