"""SQUAD's clients post to us as to SQUAD: its address, its form, its answers."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from shared.db.pool import Pool
from tests.conftest import Database, FloorFor
from tests.services.ingest.api.lab import BRANCH, Lab, a_branch, a_token, served, settings

PATH = f"/api/submit/netdev/net-next/{BRANCH}/cx7-drv"
TESTS = {"ltp/syscalls/a": "pass", "net/tls[x/y]": {"result": "fail", "log": "no"}, "boot": "unknown"}


@pytest.fixture
async def owner(database: Database) -> Pool:
    return await database.pool()


@pytest.fixture
async def lab(owner: Pool, floor_for: FloorFor) -> AsyncIterator[Lab]:
    await a_branch(owner)
    async with served(await floor_for("ingest", settings()), await a_token(owner)) as lab:
        yield lab


def a_form(tests: object = TESTS) -> aiohttp.FormData:
    form = aiohttp.FormData(quote_fields=False)
    form.add_field("tests", json.dumps(tests))
    form.add_field("metadata", json.dumps({"job_id": "17", "job_url": "https://lab.example/17"}))
    form.add_field("log", b"booting\n", filename="log.txt")
    form.add_field("attachment", b"\x7fELF", filename="../vmlinux")
    return form


@pytest.mark.parametrize("header", [("Authorization", "Token {}"), ("Auth-Token", "{}")])
async def test_a_submission_is_a_run(lab: Lab, owner: Pool, header: tuple[str, str]) -> None:
    token, lab.token = lab.token, ""
    headers = {header[0]: header[1].format(token)}
    status, number = await lab.ask("POST", PATH, data=a_form(), headers=headers)
    assert (status, int(number) > 0) == (201, True), number
    assert await lab.ask("POST", PATH, data=a_form(), headers=headers) == (201, number)
    rows = await owner.fetch("select grp, test, result, detail from ledger.cases_v order by test")
    assert [tuple(r) for r in rows] == [
        ("ltp/syscalls", "a", "pass", ""), ("tests", "boot", "skip", ""), ("net", "tls[x/y]", "fail", "no"),
    ]  # fmt: skip
    files = await owner.fetch("select name, size from ledger.artifacts order by name")
    assert [tuple(r) for r in files] == [("log", 8), ("vmlinux", 4)]
    assert await owner.fetchval("select link from ledger.runs") == "https://lab.example/17"


async def test_files_of_a_form_are_bounded_together(owner: Pool, floor_for: FloorFor, tmp_path: Path) -> None:
    await a_branch(owner)
    form = a_form()
    for n in range(9):
        form.add_field("attachment", bytes([n]) * 65536, filename=f"core.{n}")
    async with served(await floor_for("ingest", settings(artifact=65536)), await a_token(owner)) as lab:
        status, words = await lab.ask("POST", PATH, data=form)
    assert (status, f"{8 * 65536} bytes" in words) == (413, True)
    assert await owner.fetchval("select count(*) from ledger.runs") == 0
    assert list((tmp_path / "blobs/incoming").iterdir()) == []


async def test_a_plain_form_will_do(lab: Lab) -> None:
    assert (await lab.ask("POST", PATH, data={"tests": json.dumps(TESTS)}))[0] == 201


async def test_what_is_wrong_is_said_in_words(lab: Lab, owner: Pool) -> None:
    status, words = await lab.ask("POST", PATH, data={"tests": "{"})
    assert (status, words.startswith("/tests: not JSON")) == (400, True)
    status, words = await lab.ask("POST", PATH, data={"test": "{}"})
    assert (status, words) == (400, "no form with any of tests, metrics, metadata, log and attachment\n")
    status, words = await lab.ask("POST", PATH.replace("netdev", "bpf"), data={"tests": "{}"})
    assert (status, "not of bpf/net-next" in words) == (400, True)
    status, words = await lab.ask("POST", PATH.replace(BRANCH, "v6.99"), data={"tests": "{}"})
    assert (status, words.startswith("/branch:")) == (400, True)
    assert (await lab.ask("POST", PATH, data=a_form()))[0] == 201
    status, words = await lab.ask("POST", PATH, data=a_form({"a": "pass"}))
    assert (status, "attempt" in words) == (400, True)
    assert (await lab.ask("POST", PATH + "?attempt=1", data=a_form({"a": "pass"})))[0] == 201
    assert await owner.fetchval("select count(*) from ingest.rejections") == 5


async def test_who_may_not_is_told_as_everywhere(lab: Lab, owner: Pool) -> None:
    lab.token = await a_token(owner, ["results:write:other"])
    status, told = await lab.ask("POST", PATH, data=a_form())
    assert (status, "cx7-drv" in told["detail"]) == (403, True)
    lab.token = ""
    assert (await lab.ask("POST", PATH, data=a_form()))[0] == 401
