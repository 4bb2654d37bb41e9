"""`netci repro`, as an author calls it: results of practice hosts, run again in a guest and on one's own machine."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from services.executor import recipe
from services.executor.recipe import Recipe
from services.executor.repro import given
from services.executor.runner import Surroundings, carry_out
from services.executor.suites.kselftest import Kselftest, KselftestConfig
from services.executor.trees import Trees, chunks
from shared.clock import wall
from shared.errors import Missing, Refused, Transient
from shared.practice.hosts import Fleet, served_hosts
from tests.services.executor.builders import Claims, Kept, a_job, always, driver_of
from tests.services.executor.checking.builders import Contents, Repository
from tests.support.kernel_package import kernel_package

NET = "tools/testing/selftests/net"
TREE: Contents = {
    f"{NET}/pass.sh": ("100755", b"#!/bin/sh\necho TAP version 13\necho 1..1\necho ok 1 inner\n"),
    f"{NET}/fail.sh": ("100755", b"#!/bin/sh\necho 1..2\necho ok 1 fine\necho not ok 2 broken\nexit 1\n"),
    "tools/testing/selftests/kselftest-list.txt": b"net:pass.sh\nnet:fail.sh\n",
}  # fmt: skip
SUITE = {"kind": "kselftest", "targets": ["net"], "checkout": ["tools"], "build": False}


@pytest.fixture
async def fleet() -> AsyncIterator[Fleet]:
    async with served_hosts(1) as made:
        yield made


@pytest.fixture
async def results(fleet: Fleet, tmp_path: Path) -> Path:
    """What a run on practice hosts left, in a folder: a folder for each test, as its logs are named."""
    repository = Repository(tmp_path / "branch.git")
    commit = await repository.commit(TREE)
    suite = Kselftest(KselftestConfig.model_validate(SUITE))
    base = Recipe("", "", "", "net-1", str(commit), "", str(repository.path), "lab/metal", SUITE, {"kind": "ssh"})
    sink, trees = Kept(), Trees(tmp_path / "trees", "net")
    await trees.fetch(str(commit), str(repository.path))
    async with trees.tar(str(commit), ("tools",)) as file:
        around = Surroundings(Claims(), lambda: chunks(file), always, wall, patience=0.05)
        job = replace(a_job(retries=0), commit=str(commit), recipe=base)
        await carry_out(job, driver_of(fleet), suite, sink, around)
    repository.store.close()
    for name, data in sink.files.items():
        (tmp_path / "run" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "run" / name).write_bytes(data)
    return tmp_path / "run"


async def netci(*words: object, home: Path) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services", "repro", *map(str, words), stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE, env={**os.environ, "HOME": str(home), "XDG_CACHE_HOME": ""},
    )  # fmt: skip
    async with asyncio.timeout(240):
        out, said = await process.communicate()
    return process.returncode or 0, out.decode(), said.decode()


def of(results: Path, test: str) -> Path:
    return results / "selftests-net" / test / "0" / recipe.NAME


@pytest.mark.slow
@pytest.mark.timeout(500)
async def test_a_failed_and_a_passed_one_come_to_the_same_in_a_guest(results: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    code, out, said = await netci(of(results, "fail-sh"), "--kernel", kernel_package(), home=home)
    assert (code, said) == (0, ""), out
    assert "fetching net-1, commit" in out
    assert "here: fail in" in out
    assert "  fail broken" in out
    assert out.splitlines()[-1] == "there: fail; here it comes to the same"
    code, out, said = await netci(of(results, "pass-sh"), "--kernel", kernel_package(), "--json", home=home)
    assert (code, said) == (0, ""), out
    told = json.loads(out)
    assert (told["there"], told["same"]) == ("pass", True)
    assert [case["result"] for case in told["here"][0]["cases"]] == ["pass", "pass"]
    assert (Path(told["here"][0]["logs"]) / "stdout").read_text().startswith("TAP version 13\n")
    assert (home / ".cache/netci/repro/git").is_dir() or (home / ".cache/netci/repro/executor/git").is_dir()


@pytest.mark.timeout(200)
async def test_on_a_machine_of_ones_own_and_often(results: Path, fleet: Fleet, tmp_path: Path) -> None:
    where = ("--host", fleet.addresses[0], "--key", fleet.key_file, "--known-hosts", fleet.known_hosts)
    code, out, said = await netci(of(results, "fail-sh"), *where, "--times", "2", home=tmp_path)
    assert (code, said, out.count("here: fail in")) == (0, "", 2), out
    # One that was told to come to something else.
    file = of(results, "pass-sh")
    file.write_bytes(recipe.dump(replace(recipe.load(file.read_bytes(), ""), result="fail")))
    code, out, said = await netci(file, *where, home=tmp_path)
    assert (code, out.splitlines()[-1]) == (1, "there: fail; here it comes to not the same"), said


async def test_what_cannot_be_done_says_what_to_do(results: Path, fleet: Fleet, tmp_path: Path) -> None:
    code, _, said = await netci(of(results, "fail-sh"), home=tmp_path)
    assert (code, "give one with --kernel" in said) == (2, True), said
    code, _, said = await netci(tmp_path / "none.json", home=tmp_path)
    assert (code, said.count("\n")) == (2, 1)
    assert "No such file or directory: give a recipe.json, or the address of a result" in said
    code, out, _ = await netci(of(results, "fail-sh"), "--show", home=tmp_path)
    assert (code, json.loads(out)["test"], json.loads(out)["result"]) == (0, "fail-sh", "fail")
    code, _, said = await netci(
        of(results, "fail-sh"), "--kernel", "/x", "--git", tmp_path / "none", home=tmp_path / "new"
    )
    assert (code, "cannot be had" in said) == (2, True), said
    changed = tmp_path / "changed.json"
    changed.write_bytes(recipe.dump(replace(recipe.load(of(results, "fail-sh").read_bytes(), ""), test="gone")))
    where = ("--host", fleet.addresses[0], "--key", fleet.key_file, "--known-hosts", fleet.known_hosts)
    code, _, said = await netci(changed, *where, home=tmp_path)
    assert (code, "has no test selftests-net/gone" in said) == (2, True), said


# Where it comes from


@pytest.fixture
async def server(results: Path) -> AsyncIterator[str]:
    """As netci serves a run's files and its tests."""

    async def log(request: web.Request) -> web.Response:
        path = results / request.match_info["name"]
        assert request.query.get("raw") == "1"
        if not path.is_file():
            raise web.HTTPNotFound
        return web.Response(body=path.read_bytes())

    async def run(request: web.Request) -> web.Response:
        attempts = [{"log": "selftests-net/fail-sh/0/stdout"}]
        rows: list[Any] = [{"group": "selftests-net", "test": "fail-sh", "attempts": attempts}]
        return web.json_response({"tests": rows} if request.match_info["id"] == "7" else {"no": "tests"})

    app = web.Application()
    app.router.add_get("/ci/run/7/log/{name:.+}", log)
    app.router.add_get("/ci/api/v1/runs/{id}", run)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/ci"
    await runner.cleanup()


async def test_a_recipe_is_found_by_the_address_of_a_log_or_of_a_run(results: Path, server: str) -> None:
    wanted = recipe.load(of(results, "fail-sh").read_bytes(), "")
    for address, test in (
        (f"{server}/run/7/log/selftests-net/fail-sh/0/stdout", ""), (f"{server}/run/7", "selftests-net/fail-sh"),
        (f"{server}/run/7", "fail-sh"), (f"{server}/run/7#selftests-net/fail-sh", ""),
    ):  # fmt: skip
        found = await given.read(address, test)
        assert (found.recipe, found.config) == (wanted, b""), address
    kernel = results / "selftests-net/kernel/0"
    kernel.mkdir(parents=True)
    (kernel / "config").write_bytes(b"CONFIG_NET=y\n")
    assert (await given.read(f"{server}/run/7", "fail-sh")).config == b"CONFIG_NET=y\n"
    assert (await given.read(str(of(results, "fail-sh")), "")).config == b"CONFIG_NET=y\n"


async def test_an_address_that_leads_nowhere_says_so(server: str) -> None:
    with pytest.raises(Missing, match="there is no such thing there"):
        await given.read(f"{server}/run/7/log/selftests-net/none/0/stdout", "")
    with pytest.raises(Missing, match="run 7 has no log of a test none"):
        await given.read(f"{server}/run/7", "none")
    with pytest.raises(Refused, match="--test GROUP/TEST"):
        await given.read(f"{server}/run/7", "")
    with pytest.raises(Refused, match="not the address of a result"):
        await given.read(f"{server}/branches", "x")
    with pytest.raises(Transient, match="is not understood"):
        await given.read(f"{server}/run/8", "x")
    with pytest.raises(Transient, match="cannot be reached"):
        await given.read("http://127.0.0.1:9/run/7", "x")
