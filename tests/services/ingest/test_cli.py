"""`netci sources`."""

import argparse
import json

import pytest

from services.ingest.cli import add
from shared.practice.patchwork import Served
from shared.settings import Database
from tests import conftest
from tests.conftest import FloorFor
from tests.services.ingest.build import a_series, arrived, at_work, some_settings


async def test_it_says_how_each_source_stands(
    floor_for: FloorFor, database: conftest.Database, site: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = some_settings(site.url).model_copy(update={"database": Database(url=database.dsn)})
    floor = await floor_for("ingest", settings)
    parser = argparse.ArgumentParser()
    add(parser.add_subparsers())
    async with at_work(floor):
        site.submit(b"".join(a_series(patches=1)))
        await arrived(floor)
    args = parser.parse_args(["sources"])
    assert await args.run(args, settings) == 0
    assert "netdev/patchwork: answers; polled 2" in capsys.readouterr().out
    args = parser.parse_args(["sources", "--json"])
    assert await args.run(args, settings) == 0
    [found] = json.loads(capsys.readouterr().out)
    assert found["series"] == {"active": 1}
