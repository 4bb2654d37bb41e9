"""A remote's manifest and files on a real server, and what of them is in the ledger afterwards."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from services.ingest.doctor import examine
from services.ingest.remotes.poller import RemotePoller
from services.ingest.remotes.store import SQL as REMOTES
from shared.pauses import pause, resume
from shared.practice.nipa_remote import a_run
from tests.services.ingest.remotes.conftest import BRANCH, OLDER, Polled

TLS = {
    "test": "tls", "group": "selftests-net", "result": "fail", "retry": "pass", "time": 93.4,
    "link": "https://lab.example.org/tls/", "results": [
        {"test": "send", "result": "pass", "retry": "pass"}, {"test": "recv", "result": "fail", "retry": "pass"},
    ],
}  # fmt: skip
GRO = {"test": "gro", "group": "selftests-net", "result": "fail", "crashes": ["dump_stack_lvl:gro_receive"]}
ODD = {"test": "odd", "group": "selftests-net", "result": "timed-out"}
WELL = {"test": "ping", "group": "selftests-net", "result": "PASS"}


async def cases(polled: Polled) -> list[tuple[Any, ...]]:
    rows = await polled.owner.fetch(
        "select test, subtest, attempt, result, crashes from ledger.cases_v order by test, subtest, attempt"
    )
    return [tuple(row) for row in rows]


async def test_a_pending_entry_is_a_running_run_and_its_file_closes_it(polled: Polled) -> None:
    polled.remote.running("nic", BRANCH)
    assert await polled.round() == ""
    [run] = await polled.owner.fetch("select * from ledger.runs")
    assert (run["state"], run["cut_id"], run["branch"]) == ("open", polled.cut, BRANCH)
    assert run["expected_end"] == polled.clock.now + timedelta(hours=2)
    device = '{"nic": {"model": "x100"}}'
    polled.remote.finished(a_run("nic", BRANCH, [TLS, GRO], device=device, link="https://lab.example.org/1/"))
    await polled.round()
    [done] = await polled.owner.fetch("select * from ledger.runs")
    assert (done["id"], done["state"], done["cause"]) == (run["id"], "done", None)
    assert (done["device"], done["link"]) == ({"nic": {"model": "x100"}}, "https://lab.example.org/1/")
    assert done["counts"] == {"pass": 1, "fail": 1, "flaky": 1}
    assert done["started"] < run["started"]
    assert await cases(polled) == [
        ("gro", "", 0, "fail", ["dump_stack_lvl:gro_receive"]),
        ("tls", "", 0, "fail", []), ("tls", "", 1, "pass", []),
        ("tls", "recv", 0, "fail", []), ("tls", "recv", 1, "pass", []),
        ("tls", "send", 0, "pass", []), ("tls", "send", 1, "pass", []),
    ]  # fmt: skip
    assert (await polled.events()).count("run.done") == 1
    assert await polled.rejections() == []


async def test_executors_of_one_remote_do_not_meet(polled: Polled) -> None:
    polled.remote.running("nic", BRANCH)
    polled.remote.finished(a_run("vm", BRANCH, [WELL]))
    polled.remote.finished(a_run("vm", OLDER, [WELL]))
    await polled.round()
    assert await polled.runs() == [("nic", 0, "open", ""), ("vm", 0, "done", ""), ("vm", 0, "done", "")]
    heard = await polled.owner.fetch("select executor, branch from ingest.heard order by 1, 2")
    assert [row["executor"] for row in heard] == ["", "nic", "vm"]


async def test_what_has_not_changed_is_not_sent_again(polled: Polled) -> None:
    polled.remote.finished(a_run("vm", BRANCH, [WELL]), "r.json")
    for _ in range(4):
        await polled.round()
    assert polled.remote.asked == {("results.json", 200): 1, ("results.json", 304): 3, ("r.json", 200): 1}


async def test_branches_of_others_are_counted_and_left(polled: Polled) -> None:
    polled.remote.finished(a_run("vm", "bpf-next-2026-11-25--12-00", [WELL]))
    polled.remote.running("vm", BRANCH)
    await polled.round()
    assert await polled.runs() == [("vm", 0, "open", "")]
    told = await polled.owner.fetchrow("select entries, others from ingest.manifests")
    assert told is not None
    assert tuple(told) == (2, 1)
    assert all(name == "results.json" for name, _ in polled.remote.asked)


async def test_an_unknown_word_is_an_error_and_the_rest_is_taken(polled: Polled) -> None:
    polled.remote.finished(a_run("vm", BRANCH, [ODD, WELL]))
    await polled.round()
    assert [(name, result) for name, _, _, result, _ in await cases(polled)] == [("odd", "error"), ("ping", "pass")]
    [note] = await polled.owner.fetch("select reason from ingest.manifest_runs")
    assert "unknown result 'timed-out'" in note["reason"]


@pytest.mark.parametrize(
    ("fault", "more", "said"),
    [
        ("status", {"status": 500}, "answers 500"),
        ("status", {"status": 404}, "there is nothing"),
        ("html", {}, "not JSON"),
        ("truncated", {}, "not JSON"),
        ("huge", {"size": 8 << 20}, "is over 4194304 bytes"),
        ("moved", {"where": "/results.json"}, "more than 3 redirects"),
        ("moved", {"where": "file:///etc/passwd"}, "no address of a file"),
        ("moved", {"where": "http://10.1.2.3/results.json"}, "on a private network"),
        ("moved", {"where": "http://user:secret@lab.example.org/"}, "without a login"),
    ],
)
async def test_a_broken_manifest_is_told_and_mended(
    polled: Polled, fault: str, more: dict[str, Any], said: str
) -> None:
    polled.remote.running("nic", BRANCH)
    await polled.round()
    polled.remote.finished(a_run("nic", BRANCH, [WELL]))
    polled.remote.misbehave(fault, name="results.json", **more)
    assert said in await polled.round()
    await polled.round()
    assert await polled.runs() == [("nic", 0, "open", "")]
    health = await polled.owner.fetchrow("select ok, text from floor.health where name = 'manifest:nipa-lab'")
    assert health is not None
    assert not health["ok"]
    assert said in health["text"]
    theirs = fault in ("html", "truncated", "moved")
    assert len(await polled.rejections()) == theirs
    polled.remote.calm()
    assert await polled.round() == ""
    assert await polled.runs() == [("nic", 0, "done", "")]
    assert await polled.owner.fetchval("select ok from floor.health where name = 'manifest:nipa-lab'")


@pytest.mark.parametrize(
    "text", ['{"not": "a list"}', "[" * 100_000, "[1, null, {}]", '[{"branch": 7, "executor": []}]', "\ud800"]
)
async def test_no_manifest_breaks_anything(polled: Polled, text: str) -> None:
    (polled.remote.folder / "results.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    await polled.round()
    await polled.round()
    assert len(await polled.rejections()) == 1
    assert await polled.runs() == []


async def test_a_shuffled_manifest_says_the_same(polled: Polled) -> None:
    polled.remote.misbehave("shuffled", name="results.json")
    for branch in (OLDER, BRANCH):
        polled.remote.finished(a_run("vm", branch, [WELL]))
        polled.remote.running("nic", branch)
    for _ in range(5):
        await polled.round()
    assert await polled.runs() == [("nic", 0, "open", "")] * 2 + [("vm", 0, "done", "")] * 2


async def test_a_file_in_trouble_holds_up_no_other(polled: Polled) -> None:
    polled.remote.finished(a_run("nic", BRANCH, [WELL]), "bad.json")
    polled.remote.finished(a_run("vm", BRANCH, [WELL]), "good.json")
    polled.remote.misbehave("truncated", name="bad.json")
    for _ in range(3):
        assert await polled.round() == ""
    assert await polled.runs() == [("vm", 0, "done", "")]
    [told] = await polled.rejections()
    assert "not JSON" in told
    polled.remote.calm()
    polled.clock.pass_by(minutes=10)
    await polled.round()
    assert await polled.runs() == [("nic", 0, "done", ""), ("vm", 0, "done", "")]


async def test_a_file_that_is_never_given_ends_its_run_as_infra_after_a_day(polled: Polled) -> None:
    polled.remote.running("nic", BRANCH)
    await polled.round()
    polled.remote.finished(a_run("nic", BRANCH, [WELL]), "r.json")
    polled.remote.misbehave("status", name="r.json", status=503)
    for _ in range(40):
        await polled.round()
        polled.clock.pass_by(hours=1)
    assert await polled.runs() == [("nic", 0, "abandoned", "infra")]
    [told] = await polled.rejections()
    assert "answers 503" in told


async def test_a_huge_file_is_left_at_the_limit(polled: Polled) -> None:
    polled.remote.finished(a_run("nic", BRANCH, [WELL]), "r.json")
    polled.remote.misbehave("huge", name="r.json", size=8 << 20)
    await polled.round()
    assert await polled.runs() == []
    assert "is over 1000000 bytes" in await polled.owner.fetchval("select reason from ingest.manifest_runs")


async def test_two_executors_that_write_to_one_file_are_told_apart(polled: Polled) -> None:
    url = polled.remote.finished(a_run("nic", BRANCH, [WELL]), "results-1.json")
    polled.remote.list_as([{"executor": name, "branch": BRANCH, "url": url} for name in ("vm", "nic")])
    await polled.round()
    assert await polled.runs() == [("nic", 0, "done", "")]
    [told] = await polled.rejections()
    assert "the file of vm on" in told
    assert "do two executors write to one name?" in told


async def test_a_pending_run_that_vanishes_ends_as_infra_and_may_come_back(polled: Polled) -> None:
    polled.remote.running("nic", BRANCH)
    await polled.round()
    polled.remote.forget("nic", BRANCH)
    await polled.round()
    assert await polled.runs() == [("nic", 0, "open", "")]
    polled.clock.pass_by(minutes=31)
    await polled.round()
    assert await polled.runs() == [("nic", 0, "abandoned", "infra")]
    polled.remote.finished(a_run("nic", BRANCH, [WELL]))
    await polled.round()
    assert await polled.runs() == [("nic", 0, "abandoned", "infra"), ("nic", 1, "done", "")]


async def test_a_file_that_changes_is_told_and_not_taken_again(polled: Polled) -> None:
    run = a_run("nic", BRANCH, [WELL])
    polled.remote.finished(run, "r.json")
    await polled.round()
    polled.remote.finished(run | {"results": [GRO]}, "r.json")
    polled.clock.pass_by(minutes=11)
    await polled.round()
    await polled.round()
    assert [name for name, *_ in await cases(polled)] == ["ping"]
    [told] = await polled.rejections()
    assert "has changed since it was taken" in told


async def test_a_file_that_moves_is_not_taken_again_and_another_run_is(polled: Polled) -> None:
    run = a_run("nic", BRANCH, [WELL])
    polled.remote.finished(run, "r.json")
    await polled.round()
    polled.remote.finished(run, "moved.json")
    await polled.round()
    assert await polled.runs() == [("nic", 0, "done", "")]
    polled.remote.finished(run | {"start": "2026-11-25 13:00:00+00:00", "end": None}, "again.json")
    await polled.round()
    assert await polled.runs() == [("nic", 0, "done", ""), ("nic", 1, "done", "")]
    assert await polled.rejections() == []


async def test_a_run_that_was_reported_in_another_way_stays_as_it_is(polled: Polled) -> None:
    polled.remote.finished(a_run("nic", BRANCH, [WELL]))
    await polled.round()
    await polled.owner.execute("delete from ingest.manifest_runs")
    await polled.owner.execute("update ingest.manifests set etag = '', modified = ''")
    polled.clock.pass_by(seconds=1)
    await polled.round()
    assert await polled.runs() == [("nic", 0, "done", "")]
    assert await polled.owner.fetchval("select reason from ingest.manifest_runs") == (
        "another run of this name was closed before"
    )


async def test_a_bug_of_ours_ends_nothing_else(polled: Polled, monkeypatch: pytest.MonkeyPatch) -> None:
    polled.remote.finished(a_run("nic", BRANCH, [WELL]), "bad.json")
    polled.remote.finished(a_run("vm", BRANCH, [WELL]), "good.json")
    read = json.loads

    def breaks(data: bytes) -> object:
        from shared.formats.nipa import read_run

        if read(data)["executor"] == "nic":
            raise RuntimeError("a bug")
        return read_run(data)

    monkeypatch.setattr("services.ingest.remotes.poller.read_run", breaks)
    assert await polled.round() == ""
    assert await polled.runs() == [("vm", 0, "done", "")]


async def test_the_next_process_goes_on_where_the_last_was(polled: Polled) -> None:
    polled.remote.running("nic", BRANCH)
    polled.remote.finished(a_run("vm", BRANCH, [WELL]))
    await polled.round()
    polled.poller = RemotePoller(polled.poller.desk, polled.floor.settings.remotes[0], asyncio.Lock())
    polled.remote.finished(a_run("nic", BRANCH, [WELL]))
    await polled.round()
    assert await polled.runs() == [("nic", 0, "done", ""), ("vm", 0, "done", "")]
    assert (await polled.events()).count("run.done") == 2


async def test_the_loop_polls_rests_while_paused_and_goes_on(polled: Polled) -> None:
    async with polled.owner.acquire() as conn:
        await pause(conn, "source", "remotes/nipa-lab", "the lab moves", "ann")
    polled.remote.running("nic", BRANCH)
    task = asyncio.ensure_future(polled.poller.run(1))
    try:
        await until(polled, lambda: health_says(polled, "paused: the lab moves"))
        assert not polled.remote.asked
        async with polled.owner.acquire() as conn:
            await resume(conn, "source", "remotes/nipa-lab", "it is there", "ann")
        await until(polled, polled.runs)
        await until(polled, lambda: health_says(polled, ""))
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(polled: Polled, look: Callable[[], Awaitable[Any]]) -> None:
    async with asyncio.timeout(30):
        while not await look():
            await asyncio.sleep(0.02)


async def health_says(polled: Polled, words: str) -> bool:
    said: str | None = await polled.owner.fetchval("select text from floor.health where name = 'manifest:nipa-lab'")
    return said == words


async def test_the_doctor_looks_at_the_manifest(polled: Polled) -> None:
    polled.remote.running("nic", BRANCH)
    [found] = await examine(polled.floor.settings)
    assert (found.ok, found.what, found.detail) == (True, "remotes.nipa-lab.manifest", "1 runs")
    polled.remote.misbehave("html")
    [found] = await examine(polled.floor.settings)
    assert not found.ok
    assert "not JSON" in found.detail


async def test_years_of_branches_cost_no_more(polled: Polled) -> None:
    await polled.owner.execute(
        "insert into branch.cuts (project, stream, slot, purpose, name, state, tree, commit) "
        "select 'netdev', 'net-next', now() - n * interval '3 hours', 'scheduled', 'old-' || n, 'pruned', "
        "'net-next', 'c' from generate_series(1, 20000) n"
    )
    await polled.owner.execute(
        "insert into ingest.manifest_runs (remote, executor, branch) "
        "select 'nipa-lab', 'nic', 'theirs-' || n from generate_series(1, 500) n"
    )
    await polled.owner.execute("analyze branch.cuts; analyze ingest.manifest_runs")
    plan = await polled.owner.fetch(f"explain {REMOTES['due_runs']}", "nipa-lab", polled.clock.now, 100)
    text = "\n".join(row[0] for row in plan)
    assert "cuts_name" in text
    assert "Seq Scan on cuts" not in text


async def test_names_that_a_manifest_makes_up_are_not_kept(polled: Polled) -> None:
    for number in range(4):
        polled.remote.list_as([])
        polled.remote.running("vm", f"made-up-{number}")
        polled.remote.running("nic", BRANCH)
        await polled.round()
    kept = await polled.owner.fetch("select branch from ingest.manifest_runs order by branch")
    assert [row["branch"] for row in kept] == ["made-up-3", BRANCH]
