"""An empty netci, and the command run against it."""

import argparse
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from services.__main__ import parser
from shared.practice.nipa import Installation
from shared.settings import Settings
from tests.conftest import Database
from tests.services.report.web.builders import settings_for

Import = Callable[..., Awaitable[dict[str, Any]]]


def an_installation(**more: Any) -> Installation:
    """One whose history ended yesterday."""
    newest = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(days=1)
    return Installation(newest=newest, **more)


@pytest.fixture
def settings(database: Database, tmp_path: Path) -> Settings:
    made = settings_for(tmp_path)
    return made.model_copy(update={"database": made.database.model_copy(update={"url": database.dsn})})


@pytest.fixture
def take(settings: Settings, capsys: pytest.CaptureFixture[str]) -> Import:
    """Runs the command and gives its account."""

    async def run(*arguments: object, code: int = 0) -> dict[str, Any]:
        words = ["import", "nipa", "--json", *(str(word) for word in arguments)]
        args: argparse.Namespace = parser().parse_args(words)
        assert await args.run(args, settings) == code
        said = capsys.readouterr().out
        account: dict[str, Any] = json.loads(said[said.index("{\n") :])
        return account

    return run
