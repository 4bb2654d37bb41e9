"""The configuration: every fault named by the path of its key, all at once; secrets never in the open."""

from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import Refused
from shared.settings import Project, load, parse, parse_duration, secret

GOOD = """
data = "/tmp/x"
[[remotes]]
name = "lab"
report = true
[[executors]]
remote = "lab"
name = "vm"
streams = ["net-next"]
suite = { kind = "script" }
driver = { kind = "ssh" }
[projects.netdev.trees.net-next]
git = "https://example.org/net-next.git"
[projects.netdev.streams.net-next]
tree = "net-next"
push = "git@example.org:x.git"
every = "3h"
"""

HOOK = '[[hooks]]\nproject = "{}"\n{}[[remotes]]\nname = "lab"'
FROM_FILE = 'secret_file = "/x"\n'

FAULTS = [
    ('[[remotes]]\nname = "lab"', HOOK.format("x", FROM_FILE), "hooks.0.project: no project 'x'"),
    (
        '[[remotes]]\nname = "lab"',
        HOOK.format("netdev", 'tree = "net"\n' + FROM_FILE),
        "hooks.0.tree: no tree 'net' in netdev",
    ),
    (
        '[[remotes]]\nname = "lab"',
        HOOK.format("netdev", FROM_FILE),
        "hooks.0: netdev has no patchwork to wake; name a tree",
    ),
    (
        '[[remotes]]\nname = "lab"',
        HOOK.format("netdev", 'tree = "net-next"\n'),
        "hooks.0: secret_env or secret_file is",
    ),
    ('data = "/tmp/x"', 'dada = "/tmp/x"', "dada: there is no such key"),
    ('every = "3h"', 'every = "3 hours"', "projects.netdev.streams.net-next.every: a duration like"),
    ('every = "3h"', "every = true", "projects.netdev.streams.net-next.every: "),
    ('tree = "net-next"', 'tree = "net"', "projects.netdev: streams.net-next.tree: no tree net in this project"),
    ('push = "git@example.org:x.git"', "", "projects.netdev.streams.net-next.push: Field required"),
    (
        'push = "git@example.org:x.git"',
        'push = "https://ci:secret@example.org/x.git"',
        "projects.netdev.streams.net-next.push: a password does not belong in an address",
    ),
    ('push = "git', 'gate = ["appply"]\npush = "git', "streams.net-next.gate: nothing produces appply"),
    (
        'push = "git',
        'context = "apply"\npush = "git',
        "streams.net-next.context: 'apply' is used for the series itself",
    ),
    ('push = "git', 'context = "a b"\npush = "git', "projects.netdev.streams.net-next.context: String should match"),
    ('remote = "lab"', 'remote = "lap"', "executors.0.remote: no remote 'lap'"),
    ('streams = ["net-next"]', 'streams = ["net"]', "executors.0.streams: no stream net"),
    ('name = "vm"', 'name = "../vm"', "executors.0.name: String should match"),
    ("report = true\n", 'report = true\n[[remotes]]\nname = "lab"\n', "remotes: a name stands twice"),
    ('name = "lab"\nreport', 'name = "netci"\nreport', "remotes.0.name: 'netci' is the name of our own checks"),
    (
        "[projects.netdev.trees",
        '[projects.netdev]\nchecks = ["kdoc"]\nchecking = { use = ["kdoc"] }\n[projects.netdev.trees',
        "projects.netdev: checks: kdoc is ours",
    ),
    (
        "[projects.netdev.trees",
        '[projects.netdev]\nchecking = { use = ["contest"] }\n[projects.netdev.trees',
        "streams.net-next.context: 'contest' is used by one of our own checks",
    ),
    (
        "[projects.netdev.streams.net-next]",
        '[projects.netdev.checking]\nuse = ["kdoc"]\n[projects.netdev.streams.net-next]\ngate = ["checkpatch"]',
        "streams.net-next.gate: nothing produces checkpatch",
    ),
    ('data = "/tmp/x"', "data = ", "Invalid value"),
    ('data = "/tmp/x"', '[web]\nlisten = "8080"', "web.listen: '8080' is no address"),
    ('data = "/tmp/x"', "[outgoing]\nallow_private = [10]", "outgoing.allow_private.0: 10 is no network like"),
    (
        'data = "/tmp/x"',
        '[outgoing]\nallow_private = ["::1/128", "10.0.0.1/8"]',
        "outgoing.allow_private.1: '10.0.0.1/8' is an address inside a network; perhaps \"10.0.0.0/8\" is meant",
    ),
    ('data = "/tmp/x"', "[database]\npool = 1", "database.pool: Input should be greater than or equal to 2"),
]


def test_the_good_one_is_good() -> None:
    settings = parse(GOOD)
    name, project, stream = settings.project_of("net-next")
    assert (name, project.takes(stream)) == ("netdev", ("net-next",))
    assert stream.every == timedelta(hours=3)
    assert [e.name for e in settings.executors_of("net-next")] == ["vm"]
    assert settings.reports("lab")
    assert not settings.reports("other")
    assert settings.public_url == "http://127.0.0.1:8080"
    with pytest.raises(Refused, match=r"no stream 'net' \(there is: net-next\)"):
        settings.project_of("net")


def test_nothing_private_is_reached_unless_named() -> None:
    named = '[outgoing]\nallow_private = ["127.0.0.0/8", "10.0.0.5", "FD00::/8"]'
    assert parse(GOOD).outgoing.allow_private == ()
    found = parse(GOOD.replace('data = "/tmp/x"', named)).outgoing.allow_private
    assert [str(network) for network in found] == ["127.0.0.0/8", "10.0.0.5/32", "fd00::/8"]


@pytest.mark.parametrize(("good", "bad", "told"), FAULTS)
def test_a_fault_is_named_by_its_key(good: str, bad: str, told: str) -> None:
    assert GOOD.count(good)
    with pytest.raises(Refused) as raised:
        parse(GOOD.replace(good, bad, 1), "my.toml")
    assert told in str(raised.value)
    assert all(line.startswith("my.toml: ") for line in str(raised.value).splitlines())


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(Refused) as raised:
        parse(
            GOOD.replace('every = "3h"', 'every = "x"\nskips = "y"\nodd = 1').replace(
                "[[remotes]]", "odder = 2\n[[remotes]]"
            )
        )
    assert len(str(raised.value).splitlines()) == 4


def test_two_streams_share_no_context() -> None:
    two = GOOD + '[projects.netdev.streams.other]\ntree = "net-next"\npush = "x"\n'
    with pytest.raises(Refused, match=r"streams\.other\.context: 'contest' is that of net-next"):
        parse(two)


def test_a_preset_gives_what_is_not_set() -> None:
    text = GOOD + '[projects.netdev.triage]\npreset = "netdev"\nours = ["mine"]\n'
    triage = parse(text).projects["netdev"].triage
    assert triage.ours == ("mine",)
    assert triage.not_


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("3h", 10800), ("1h30m", 5400), ("5d", 432000), ("250ms", 0.25), ("1.5h", 5400)]
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@given(st.text(max_size=12))
def test_any_other_text_is_no_duration(text: str) -> None:
    try:
        found = parse_duration(text)
    except ValueError:
        return
    assert isinstance(found, timedelta)
    assert text[:1].isdigit()


@pytest.mark.parametrize("value", [True, 90, 1.5, None, "99999999999999d"])
def test_a_bare_number_is_no_duration(value: object) -> None:
    with pytest.raises(ValueError):
        parse_duration(value)


def test_a_file_that_is_not_there_or_not_text_is_told(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"none\.toml: No such file or directory; copy config/example\.toml"):
        load(tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_bytes(b"data = '\xff'")
    with pytest.raises(Refused, match="not UTF-8 at byte 8"):
        load(tmp_path / "bad.toml")


def test_a_secret_is_read_from_a_file_that_is_its_owners_alone(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("hunter2\n")
    file.chmod(0o640)
    with pytest.raises(Refused, match=r"token_file: .* can be read by others; chmod 600 it") as raised:
        secret(file=file, what="token_file")
    assert "hunter2" not in str(raised.value)
    file.chmod(0o600)
    assert secret(file=file, what="token_file") == "hunter2"
    with pytest.raises(Refused, match="No such file"):
        secret(file=tmp_path / "none", what="token_file")


def test_a_secret_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Refused, match="token_env: the environment has no NETCI_TEST_TOKEN"):
        secret(env="NETCI_TEST_TOKEN", what="token_env")
    monkeypatch.setenv("NETCI_TEST_TOKEN", "hunter2")
    assert secret(env="NETCI_TEST_TOKEN", what="token_env") == "hunter2"
    assert secret(what="nothing named") == ""


def with_checking(checking: str, gate: str = "apply") -> Project:
    """The project of `GOOD` with checks of its own."""
    gated = GOOD.replace('every = "3h"', f'gate = ["apply", "{gate}"]')
    return parse(f"{gated}[projects.netdev.checking]\n{checking}").projects["netdev"]


@pytest.mark.parametrize(
    ("checking", "names"),
    [
        ('use = ["kdoc", "mine"]\ncheck.mine.folder = "/checks/mine"', {"kdoc", "mine"}),
        ('use = ["kdoc", "checkpatch"]\nleave = ["checkpatch"]', {"kdoc"}),
        ('check.mine.folder = "/checks/mine"\ncheck.kdoc.time_limit = "1m"', {"mine"}),
        ("", set()),
    ],
)
def test_which_checks_are_our_own(checking: str, names: set[str]) -> None:
    project = with_checking(checking)
    assert project.own_checks == names
    assert project.our_contexts == names | {"apply", "tree_selection", "contest"}


def test_a_gate_names_our_checks_or_a_script_that_a_folder_may_hold() -> None:
    assert with_checking('use = ["kdoc"]', "kdoc").streams["net-next"].gate == ("apply", "kdoc")
    with_checking('folders = ["/checks"]', "of_a_script")
    with pytest.raises(Refused, match="nothing produces of_a_script"):
        with_checking('use = ["kdoc"]', "of_a_script")


def test_without_checking_no_check_is_our_own() -> None:
    assert parse(GOOD).projects["netdev"].own_checks == frozenset()
