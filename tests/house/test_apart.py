"""What rooms need to run apart: addresses with passwords from files, a folder of blobs shared by a group."""

from pathlib import Path

import pytest

from shared.blobs.disk import DiskBlobs
from shared.errors import Refused
from shared.floor import bus_url, dsn_of
from shared.settings import parse
from tests.house.files import ROOT

URL = "postgresql://netci_report:word@database/netci"


def written(file: Path, text: str, mode: int = 0o600) -> Path:
    file.write_text(text)
    file.chmod(mode)
    return file


def configured(folder: Path) -> str:
    text = (ROOT / "config/compose.toml").read_text()
    return text.replace("/run/secrets/database_url", f"{folder}/database").replace(
        "/run/secrets/bus_url", f"{folder}/bus"
    )


def test_addresses_come_from_files(tmp_path: Path) -> None:
    written(tmp_path / "database", f"{URL}\n")
    written(tmp_path / "bus", "amqp://netci:word@broker/\n")
    settings = parse(configured(tmp_path))
    assert (dsn_of(settings), bus_url(settings)) == (URL, "amqp://netci:word@broker/")


def test_a_file_wins_over_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path / "database", URL)
    monkeypatch.setenv("NETCI_DATABASE_URL", "postgresql://elsewhere/")
    text = configured(tmp_path).replace("[database]", '[database]\nurl_env = "NETCI_DATABASE_URL"')
    assert dsn_of(parse(text)) == URL


def test_a_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    written(tmp_path / "database", URL, 0o640)
    with pytest.raises(Refused, match=r"database\.url_file: .*can be read by others"):
        dsn_of(parse(configured(tmp_path)))


async def test_blobs_are_as_open_as_their_folder(tmp_path: Path) -> None:
    folder = tmp_path / "blobs"
    folder.mkdir()
    folder.chmod(0o2770)
    blobs = DiskBlobs(folder)
    path = blobs.path(await blobs.put(b"a log"))
    assert path.parent.stat().st_mode & 0o7777 == 0o2770
    assert path.stat().st_mode & 0o777 == 0o640
