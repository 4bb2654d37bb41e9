"""`netci threads`."""

import argparse
import gzip
import json
from pathlib import Path

import pytest

from services.ingest.cli import add
from shared.errors import Refused
from shared.settings import Settings
from tests.services.ingest.build import a_mail, a_series, some_settings
from tests.services.ingest.lists.archives import archive

FROM = b"From mboxrd@z Thu Jan  1 00:00:00 1970\n"


def mbox(mails: list[bytes]) -> bytes:
    return b"\n".join(FROM + mail for mail in mails)


async def run(settings: Settings | None, *words: str) -> int:
    parser = argparse.ArgumentParser()
    add(parser.add_subparsers())
    args = parser.parse_args(["threads", *words])
    return int(await args.run(args, settings))


@pytest.fixture
def settings() -> Settings:
    return some_settings("http://127.0.0.1:1")


async def test_it_says_which_series_and_why(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    box = tmp_path / "box"
    first, second = a_series(patches=2, cover=True), a_series(patches=2, cover=True, version=2)
    box.write_bytes(mbox([*first, *second, a_mail("Re: so?", "talk@x", diff="")]))
    assert await run(settings, str(box)) == 0
    said = capsys.readouterr().out
    assert "superseded by <tcp-make-it-faster-v2-0@example.org>" in said
    assert "active for net-next: Clearly marked for net-next" in said
    assert "2 patches and a cover letter; answers the cover letter" in said
    assert "7 mails: 2 whole series of 2, 1 mails are of none" in said


async def test_it_needs_no_configuration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    box = tmp_path / "box"
    box.write_bytes(mbox(a_series(patches=1)))
    assert await run(None, str(box)) == 0
    assert "\n    active\n" in capsys.readouterr().out
    with pytest.raises(Refused, match="no project 'netdev' is configured; there are: none"):
        await run(None, str(box), "--project", "netdev")


async def test_an_incomplete_series_says_what_is_missing(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    box = tmp_path / "box.gz"
    box.write_bytes(gzip.compress(mbox([a_series(patches=3)[0], b"no mail at all"])))
    assert await run(settings, str(box), "--json") == 1
    told = json.loads(capsys.readouterr().out)
    assert [(one["state"], one["missing"]) for one in told["series"]] == [("incomplete", [2, 3])]


async def test_a_maildir_is_read(settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for part in ("cur", "new", "tmp"):
        (tmp_path / part).mkdir()
    for number, mail in enumerate(a_series(patches=2)):
        (tmp_path / ("cur", "new")[number] / str(number)).write_bytes(mail)
    (tmp_path / "tmp" / "half").write_bytes(b"From: half")
    assert await run(settings, str(tmp_path)) == 0
    assert "2 mails: 1 whole series of 1" in capsys.readouterr().out


async def test_an_archive_is_read(settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    archive(tmp_path / "git" / "0.git", list(a_series(patches=2)))
    assert await run(settings, str(tmp_path)) == 0
    assert "2 mails: 1 whole series of 1" in capsys.readouterr().out
    assert await run(settings, str(tmp_path), "--since", "1h") == 1
    assert "0 mails: no series" in capsys.readouterr().out


@pytest.mark.parametrize("what", ["missing", "folder", "broken.gz"])
async def test_what_cannot_be_read_is_named(settings: Settings, tmp_path: Path, what: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "broken.gz").write_bytes(gzip.compress(bytes(range(256)))[:60])
    with pytest.raises(Refused, match=what.replace(".", r"\.")):
        await run(settings, str(tmp_path / what))


async def test_an_unknown_project_is_named_with_those_that_there_are(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="no project 'bpf' is configured; there are: netdev"):
        await run(settings, str(tmp_path), "--project", "bpf")
