"""The shipped files, read once in the way that their users read them."""

from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("ingest", "branch", "executor", "report")


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
