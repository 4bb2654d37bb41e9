"""The practice configuration: what is written is read again as it was, and netci takes it."""

import tomllib
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from shared.practice.config import a_project, on_practice_servers, toml
from shared.practice.hosts import served_hosts
from shared.settings import parse

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
PLAIN = TEXTS | st.booleans() | st.integers(-(2**63), 2**63 - 1)


def tables_of(values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(TEXTS, values, max_size=4)


TABLES = st.recursive(
    tables_of(PLAIN | st.lists(PLAIN, max_size=3)),
    lambda inner: tables_of(PLAIN | inner | st.lists(inner, min_size=1, max_size=3)),
    max_leaves=12,
)


@given(TABLES)
def test_tables_are_read_again_as_they_were(tables: dict[str, Any]) -> None:
    assert tomllib.loads(toml(tables)) == tables


async def test_netci_takes_it_as_it_is(tmp_path: Path) -> None:
    async with served_hosts(2, tmp_path / "hosts") as fleet:
        tables = on_practice_servers(
            patchwork="http://127.0.0.1:1", tree="file:///tree.git", fleet=fleet, push="file:///t.git", public=""
        )
    settings = parse(toml(tables))
    _, project, stream = settings.project_of("net-next")
    assert project.takes(stream) == ("net-next", "net")
    assert settings.executors_of("net-next")[0].driver["hosts"] == list(fleet.addresses)


def test_a_project_is_its_own() -> None:
    """What one stage changes, no other finds changed."""
    first = a_project(patchwork="http://one", trees={}, stream={})
    first["projects"]["netdev"]["trees"]["net-next"]["tags"].append("more")
    assert a_project(patchwork="http://two", trees={}, stream={})["projects"]["netdev"]["trees"]["net-next"] == {
        "tags": ["net-next"]
    }
