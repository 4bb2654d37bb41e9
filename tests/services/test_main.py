"""The program: which configuration, which exit code, what is said of a fault; `netci up` from start to SIGTERM."""

import argparse
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from services.__main__ import CLASSES, ROOMS, find_config, main, parser
from shared.errors import InfraError, Missing, Refused
from tests.e2e.programs import free_listen
from tests.services.report.web.builders import settings_for


def test_every_room_has_its_class() -> None:
    for name, place in CLASSES.items():
        module, _, made = place.partition(":")
        assert getattr(import_module(module), made).name == name
    assert tuple(CLASSES) == ROOMS


def test_the_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parser().parse_args(["--help"])
    assert ended.value.code == 0
    told = capsys.readouterr().out
    for command in ("up", "run", "demo", "doctor", "status", "migrate", "backup", "restore", "cut"):
        assert f"\n    {command} " in told


def test_the_configuration_is_found_where_the_help_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NETCI_CONFIG", raising=False)
    with pytest.raises(Refused, match="no configuration"):
        find_config(None)
    (tmp_path / "netci.toml").touch()
    assert find_config(None) == Path("netci.toml")
    monkeypatch.setenv("NETCI_CONFIG", "/x.toml")
    assert find_config(None) == Path("/x.toml")
    assert find_config(Path("given.toml")) == Path("given.toml")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (None, 0),
        (Refused("no such stream"), 2),
        (Missing("no token 7"), 2),
        (InfraError("broken"), 3),
        (OSError(98, "Address already in use"), 3),
        (KeyboardInterrupt(), 130),
        (BrokenPipeError(), 141),
        (ExceptionGroup("rooms", [ExceptionGroup("room", [Refused("deep down")])]), 2),
    ],
)
def test_exit_codes(
    error: BaseException | None,
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    async def end(args: object, settings: object) -> int:
        if error is not None:
            raise error
        return 0

    made = argparse.ArgumentParser()
    made.set_defaults(run=end, bare=True, log="info")
    monkeypatch.setattr("services.__main__.parser", lambda: made)
    monkeypatch.setattr("shared.log.configure", lambda **_: None)
    with pytest.raises(SystemExit) as ended:
        main([])
    assert ended.value.code == code
    told = capsys.readouterr().err
    assert "Traceback" not in told
    if code in (2, 3):
        assert told.startswith("netci: ")


def test_a_bug_is_shown_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    async def end(args: object, settings: object) -> int:
        raise ZeroDivisionError

    made = argparse.ArgumentParser()
    made.set_defaults(run=end, bare=True, log="info")
    monkeypatch.setattr("services.__main__.parser", lambda: made)
    monkeypatch.setattr("shared.log.configure", lambda **_: None)
    with pytest.raises(ZeroDivisionError):
        main([])


@pytest.fixture
def folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="netci-main-", dir="/var/tmp"))
    made.chmod(0o711)
    yield made
    shutil.rmtree(made, ignore_errors=True)


def netci(config: Path, *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "services", "--config", str(config), *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )  # fmt: skip


def test_up_starts_its_own_database_tells_a_second_one_and_ends_at_sigterm(folder: Path) -> None:
    config = folder / "netci.toml"
    config.write_text(f'data = "{folder}/data"\n[web]\nlisten = "127.0.0.1:0"\n[projects]\n')
    up = netci(config, "up")
    try:
        until = time.monotonic() + 60
        pidfile = folder / "data" / "postgres" / "postmaster.pid"
        while not (pidfile.exists() and "ready" in pidfile.read_text()) and time.monotonic() < until:
            assert up.poll() is None
            time.sleep(0.1)
        second = netci(config, "up")
        _, told = second.communicate(timeout=60)
        assert second.returncode == 2
        assert f"is held by another netci (pid {up.pid})" in told
        migrated = netci(config, "migrate")
        assert migrated.communicate(timeout=60)[0].endswith("the database is up to date\n")
        up.send_signal(signal.SIGTERM)
        _, told = up.communicate(timeout=40)
        assert up.returncode == 0, told[-2000:]
        assert "Traceback" not in told
        assert not pidfile.exists()
    finally:
        if up.poll() is None:
            up.kill()
            up.communicate()


def asked(url: str, seconds: float = 60) -> int:
    """The status at `url`, as soon as somebody listens there and takes part."""
    until = time.monotonic() + seconds
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as exc:
            if exc.code != 503 or time.monotonic() > until:
                return exc.code
        except OSError:
            assert time.monotonic() < until
        time.sleep(0.1)


def test_labs_come_in_where_the_pages_are_and_apart_where_ingest_listens(folder: Path) -> None:
    pages, door = free_listen(), free_listen()
    config = folder / "netci.toml"
    config.write_text(f'data = "{folder}/data"\n[web]\nlisten = "{pages}"\n[ingest]\nlisten = "{door}"\n[projects]\n')
    up = netci(config, "up")
    try:
        assert asked(f"http://{pages}/api/v1/lab") == 401
        assert asked(f"http://{pages}/") == 200
        apart = netci(config, "run", "ingest")
        try:
            assert asked(f"http://{door}/api/v1/lab") == 401
            assert asked(f"http://{door}/series") == 404
        finally:
            apart.send_signal(signal.SIGTERM)
            apart.communicate(timeout=40)
    finally:
        up.send_signal(signal.SIGTERM)
        up.communicate(timeout=40)


def test_a_room_apart_wants_a_migrated_database(folder: Path) -> None:
    config = folder / "netci.toml"
    config.write_text(f'data = "{folder}/data"\n[projects]\n')
    run = netci(config, "run", "ingest")
    _, told = run.communicate(timeout=60)
    assert run.returncode == 3
    assert "does not answer" in told


async def test_a_token_has_a_name(tmp_path: Path) -> None:
    args = parser().parse_args(["token", "create", " ", "--scope", "events:read"])
    with pytest.raises(Refused, match="a token has a name"):
        await args.run(args, settings_for(tmp_path))


def test_a_reader_that_goes_is_no_fault() -> None:
    words = shlex.join([sys.executable, "-m", "services", "check", "--list"])
    ran = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {words} | true"], capture_output=True, text=True, check=False
    )  # fmt: skip
    assert (ran.returncode, ran.stderr) == (141, "")


@pytest.mark.parametrize("hands", ["0", "-3", "x"])
def test_a_number_of_commands_is_at_least_one(hands: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["check", f"-j{hands}"])
    assert ended.value.code == 2
    assert "is no number of commands" in capsys.readouterr().err


@pytest.mark.parametrize(("words", "trace"), [((), False), (("--log", "debug"), True)])
def test_a_fault_of_check_is_not_taken_for_a_bad_patch(
    words: tuple[str, ...], trace: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def fault(wanted: object) -> int:
        raise ZeroDivisionError("of ours")

    monkeypatch.setattr("services.executor.local.app.check", fault)
    monkeypatch.setattr("shared.log.configure", lambda **_: None)
    with pytest.raises(SystemExit) as ended:
        main([*words, "check"])
    told = capsys.readouterr().err
    assert ended.value.code == 3
    assert "netci check: a fault of netci's own: ZeroDivisionError: of ours; please report" in told
    assert ("Traceback" in told) is trace
