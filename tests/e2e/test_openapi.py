"""schemathesis over the OpenAPI document of the whole product, against the product as it runs.

All checks, in all phases, with a token and without. What the tables of ingest and report hold is what is tried.
"""

import asyncio
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from services.api_document import endpoints
from shared.settings import parse
from tests.conftest import Database, FloorFor
from tests.services.ingest.api.lab import a_token
from tests.services.report.web.builders import seed
from tests.support.serving import a_server

SEED = os.environ.get("SEED", "1")
ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "tests/e2e/schemathesis.toml"
MORE = """
[projects.netdev.trees.net-next]
git = "https://git.example.org/net-next.git"
[projects.netdev.streams.net-next]
tree = "net-next"
push = "/dev/null"
public = "https://git.example.org/testing.git"
[[remotes]]
name = "metal"
report = true
"""
SCOPES = ("results:write:*", "checks:write:*", "events:read", "hooks:manage")


async def run(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> tuple[int, str]:
    """The exit code of a program and all that it printed."""
    process = await asyncio.create_subprocess_exec(
        *command, cwd=folder, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    async with asyncio.timeout(270):
        out, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode()


@pytest.mark.parametrize("who", ["anybody", "a lab"])
async def test_every_answer_is_one_that_the_document_promises(
    database: Database, floor_for: FloorFor, tmp_path: Path, who: str
) -> None:
    owner = await database.pool()
    settings = parse(
        f'data = "{tmp_path}/data"\n[projects.netdev.trees.net]\ngit = "https://git.example.org/net.git"\n'
    )
    await seed(await floor_for("report", settings), owner)
    token = await a_token(owner, SCOPES)
    web = 'trusted_proxies = ["127.0.0.1"]'
    with a_server(database.dsn, tmp_path, "ingest", "report", web=web, more=MORE) as server:
        await server.serves()
        # One worker: ast.parse of CPython 3.11 counts its depth for all threads together, and Hypothesis parses in each
        # (python/cpython#106905).
        command = [
            str(Path(sys.executable).with_name("st")), "--config-file", str(CONFIG), "run",
            f"{server.url}/api/v1/openapi.json", "--url", server.url, "--checks", "all",
            "--phases", "examples,coverage,fuzzing", "--seed", SEED, "--max-examples", "8", "--max-time", "60",
            "--request-timeout", "20", "--workers", "1", "--generation-database", "none", "--no-color",
            "--continue-on-failure", "--warnings", "off", "--max-failures", "20",
        ]  # fmt: skip
        if who != "anybody":
            command += ["--header", f"Authorization: Bearer {token}"]
        hooks = {"SCHEMATHESIS_HOOKS": "tests.e2e.schemathesis_hooks", "PYTHONPATH": str(ROOT)}
        code, out = await run(command, tmp_path, os.environ | hooks)
        print(out)
        assert code == 0, out[-8000:]
        listed = sum(not endpoint.hidden for endpoint in endpoints())
        # It leaves out the path of the document itself.
        assert f"{listed - 1} selected / {listed - 1} total" in out
        said = server.log.read_text("utf-8")
        # What is no HTTP at all aiohttp refuses by itself, and logs; what breaks in us is logged so.
        assert "request: broke" not in said
        assert token.rpartition("_")[2] not in said
