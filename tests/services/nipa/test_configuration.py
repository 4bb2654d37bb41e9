"""NIPA's configuration as a piece of ours, and what has no place in it."""

from pathlib import Path

from services.nipa.account import Account
from services.nipa.configuration import Given, read_configuration, read_filters, read_ini, read_remotes, toml
from shared.practice.nipa import write_files
from shared.settings import Remote, parse
from tests.services.nipa.conftest import Import, an_installation


def given_by(text: str, account: Account | None = None) -> Given:
    given, account = Given(), account or Account()
    read_configuration([read_ini(text, "x.config", account)], given, account)
    return given


async def test_the_piece_is_one_that_our_settings_take(take: Import, tmp_path: Path) -> None:
    write_files(an_installation(branches=1), tmp_path)
    account = await take(
        "--configuration", tmp_path / "config", "--remote-db", tmp_path / "remote_db.json", "--filters",
        tmp_path / "filters.json",
    )  # fmt: skip
    piece = account["configuration"]
    assert "very-secret" not in str(account)
    assert 'manifest = "https://lab-0.example.org/results.json"' in piece
    known = "manifest" in Remote.model_fields
    settings = parse(piece if known else "\n".join(line for line in piece.splitlines() if "manifest" not in line))
    project = settings.projects["netdev"]
    assert project.patchwork is not None
    assert (project.patchwork.url, project.patchwork.project) == ("https://patchwork.kernel.org", "netdevbpf")
    assert project.patchwork.ignore_delegates == ("bpf",)
    assert project.streams["net-next"].public == "https://github.com/linux-netdev/testing.git"
    assert {remote.name: remote.report for remote in settings.remotes} == {"lab-0": True, "lab-1": False}
    left = {(row["kind"], example) for row in account["left"] for example in row["examples"]}
    assert ("settings", "[patchwork] token") in left
    assert ("settings", "gate_checks=build_clang") in left
    assert any(kind == "filters" and "known to be slow" in example for kind, example in left)


def test_a_tree_keeps_its_prefix_and_branch() -> None:
    given = given_by("[trees]\nnet=net, /srv/net, origin, main\n")
    assert given.trees["net"]["tags"] == ["net"]
    assert given.trees["net"]["branch"] == "main"


def test_what_is_no_ini_is_said_and_loses_nothing_else() -> None:
    account = Account()
    assert given_by("no section\n", account).patchwork == {}
    assert account.left["files", "is no INI file"] == 1


def test_odd_remotes_and_filters_are_left() -> None:
    account, given = Account(), Given()
    read_remotes([{"name": "ok", "url": "https://x.example.org/r.json"}, {"name": "no"}, 7], given, account)
    read_remotes({"not": "a list"}, given, account)
    read_filters([], given, account)
    read_filters({"remotes": ["ok", 3]}, given, account)
    assert given.remotes == {"ok": "https://x.example.org/r.json"}
    assert given.reporting == ["ok"]
    assert account.left["remotes", "has no name or no http address"] == 2
    assert toml(Given(), "netdev") == ""
