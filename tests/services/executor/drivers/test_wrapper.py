"""The words for the wrapper, and the wrapper itself on hosts that lack this or that."""

import os
import shlex
import subprocess
from pathlib import Path

import pytest

from services.executor.drivers import wrapper
from services.executor.drivers.base import Command, LeaseLost
from shared.errors import InfraError, Refused

NEEDED = ("sh", "cat", "mkdir", "mv", "rm", "rmdir", "sleep", "grep", "setsid", "env", "uname", "getconf", "wc", "sort")


def words(state: str = "/s", lease: int = 7) -> wrapper.Words:
    return wrapper.Words(state, lease, "feed")


def a_path(folder: Path, *without: str) -> dict[str, str]:
    """An environment with the needed programs only, less some."""
    folder.mkdir()
    for name in NEEDED:
        if name not in without:
            found = next(path for path in ("/bin", "/usr/bin") if os.path.exists(f"{path}/{name}"))
            (folder / name).symlink_to(f"{found}/{name}")
    return {"PATH": str(folder)}


def on_a_host(folder: Path, line: str, env: dict[str, str], stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    (folder / wrapper.NAME).write_bytes(wrapper.SCRIPT)
    return subprocess.run(["/bin/sh", "-c", line], env=env, input=stdin, capture_output=True, timeout=30, check=False)


def owned(folder: Path, env: dict[str, str], sent: bytes = wrapper.SCRIPT) -> "subprocess.CompletedProcess[bytes]":
    """The wrapper sent to a host, and the machine taken by the lease 7."""
    line = wrapper.own(str(folder), 7, "feed", 1, "run-1", "echo looked; false")
    return subprocess.run(["/bin/sh", "-c", line], env=env, input=sent, capture_output=True, timeout=30, check=False)


def test_a_command_line_survives_a_shell() -> None:
    line = words().run("feed-1", Command(("a", "b c", "$x;'"), env={"K": "v w"}), "/w")
    assert shlex.split(line)[2:] == [
        "run", "/s", "7", "feed", "feed-1", "/w", "0", "", "K=v w", "--", "a", "b c", "$x;'",
    ]  # fmt: skip


def test_a_nul_byte_is_refused() -> None:
    with pytest.raises(Refused):
        words().run("feed-1", Command(("a\0b",)), "/w")


def test_only_the_wrappers_own_complaint_counts() -> None:
    said = b"noise\nnetci-wrapper feed refused: lease 7 is older than 9\n"
    assert words().complaint(97, said) == "refused: lease 7 is older than 9"
    assert words().complaint(97, b"netci-wrapper other refused") == ""
    assert words().complaint(1, said) == ""


def test_what_a_complaint_means() -> None:
    with pytest.raises(LeaseLost):
        words().refuse(97, "refused", "vm1")
    with pytest.raises(InfraError):
        words().refuse(95, "does not end", "vm1")


def test_facts_are_capped() -> None:
    assert wrapper.facts(b"a=1\nnonsense\nb=" + b"x" * 999) == {"a": "1", "b": "x" * 300}


def test_half_a_wrapper_is_never_kept(tmp_path: Path) -> None:
    env = {"PATH": os.environ["PATH"]}
    whole = owned(tmp_path / "state", env)
    told, _, then = whole.stdout.decode().partition(f"{wrapper.THEN}\n")
    assert (whole.returncode, then) == (0, "looked\n")
    assert told.startswith(f"state={tmp_path}/state\n")
    assert f"work={tmp_path}/state/runs/run-1\n" in told
    (tmp_path / "state" / wrapper.NAME).unlink()
    half = owned(tmp_path / "state", env, wrapper.SCRIPT[:900])
    assert (half.returncode, half.stdout) == (1, b"")
    assert not (tmp_path / "state" / wrapper.NAME).exists()


def test_a_host_without_flock_is_served_too(tmp_path: Path) -> None:
    env = a_path(tmp_path / "bin")
    state = str(tmp_path)
    taken = owned(tmp_path, env)
    assert b"work=" in taken.stdout
    said = on_a_host(tmp_path, words(state).run("feed-1", Command(("cat",)), state), env, b"echo")
    old = on_a_host(tmp_path, words(state, 6).run("feed-2", Command(("cat",)), state), env)
    assert (said.returncode, said.stdout, old.returncode) == (0, b"echo", 97)
    assert not (tmp_path / "locked").exists()


def test_a_host_without_setsid_is_refused(tmp_path: Path) -> None:
    done = owned(tmp_path, a_path(tmp_path / "bin", "setsid"))
    assert words().complaint(done.returncode, done.stderr) == "needs setsid"


@pytest.mark.parametrize("rubbish", ["", "nonsense", "-5", "9 9"])
def test_a_lease_file_full_of_rubbish_is_begun_anew(tmp_path: Path, rubbish: str) -> None:
    (tmp_path / "lease").write_text(rubbish)
    env = {"PATH": os.environ["PATH"]}
    assert wrapper.THEN.encode() in owned(tmp_path, env).stdout
    assert (tmp_path / "lease").read_text() == "7\n"


@pytest.mark.parametrize("key", ["PATH", "IFS", "LD_PRELOAD", "LC_ALL", "BASH_ENV", "a-b"])
def test_what_would_change_the_wrappers_shell_is_set_by_a_program(key: str) -> None:
    line = words().run("feed-1", Command(("true",), env={key: "v", "K": "w"}), "/w")
    assert shlex.split(line)[10:] == ["--", "env", f"{key}=v", "K=w", "true"]


def test_a_second_thing_follows_and_has_no_part_in_the_first(tmp_path: Path) -> None:
    (tmp_path / "groups").mkdir()
    command = Command(("sh", "-c", "echo out $K; echo err >&2; exit 3"), env={"K": "v w"})
    line = words(str(tmp_path), 7).run("feed-1", command, str(tmp_path), "echo followed; cat; exit 5")
    done = on_a_host(tmp_path, line, {"PATH": os.environ["PATH"]}, b"not for the second")
    assert (done.returncode, done.stdout) == (3, b"out v w\n")
    assert done.stderr == b"err\n" + words().mark + b"followed\n"
