"""The core that runs things knows two Protocols and no table."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
CORE = ("plan", "retry", "schedule", "resume", "work", "sink", "runs", "runner", "endings", "harvest", "labels")
PURE = ("plan", "retry", "schedule", "resume", "endings", "harvest", "labels")
TABLES = ("shared.db", "shared.bus", "shared.floor", "shared.ledger", "asyncpg", "aio_pika")
IO = ("asyncio", "asyncssh", "asyncpg", "aiohttp", "httpx", "socket", "subprocess")


def imported(module: str) -> set[str]:
    """What a module of the project imports by name, nothing that those import."""
    file = ROOT / (module.replace(".", "/") + ".py")
    file = file if file.exists() else ROOT / module.replace(".", "/") / "__init__.py"
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


def reached(module: str, seen: set[str]) -> Iterator[str]:
    """All modules that come with `module`."""
    for name in imported(module) - seen:
        seen.add(name)
        yield name
        if name.startswith(("services.", "shared.")):
            yield from reached(name, seen)


@pytest.mark.parametrize("module", CORE)
def test_the_core_reaches_neither_database_nor_bus(module: str) -> None:
    assert [name for name in reached(f"services.executor.{module}", set()) if name.startswith(TABLES)] == []


@pytest.mark.parametrize("module", PURE)
def test_what_decides_does_no_input_or_output(module: str) -> None:
    assert [name for name in imported(f"services.executor.{module}") if name.split(".")[0] in IO] == []
