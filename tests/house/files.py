"""The shipped files, read once in the way that their users read them."""

from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("ingest", "branch", "executor", "checks", "report")
FOLDERS = ("ingest", "branch", "executor", "report")
"""Of services/, where the rooms are: checks is executor's other half."""


@cache
def compose() -> dict[str, Any]:
    """compose.yaml with its merge keys resolved."""
    loaded = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))
    assert isinstance(loaded, dict)
    return loaded


def service(name: str) -> dict[str, Any]:
    found = compose()["services"][name]
    assert isinstance(found, dict)
    return found
