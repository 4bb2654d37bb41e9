"""The suites in the how-to are ones that a rack takes."""

import re
import tomllib

import pytest
from pydantic import TypeAdapter

from services.executor.suites import SUITES, SuiteConfig
from tests.house.files import ROOT

LINES = [
    line
    for block in re.findall(
        r"^```toml\n(.*?)^```", (ROOT / "docs/how-to/add-a-suite.md").read_text("utf-8"), re.M | re.S
    )
    for line in block.splitlines()
    if line.startswith("suite = ")
]


@pytest.mark.parametrize("line", LINES)
def test_an_example_is_accepted(line: str) -> None:
    TypeAdapter(SuiteConfig).validate_python(tomllib.loads(line)["suite"])


def test_every_kind_has_an_example() -> None:
    assert {tomllib.loads(line)["suite"]["kind"] for line in LINES} == set(SUITES)
