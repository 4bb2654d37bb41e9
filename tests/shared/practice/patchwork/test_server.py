"""The practice server as its users meet it: served in a test, as a process, after a restart, and as an old version."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from shared.errors import Refused
from shared.practice.patchwork import Served, served, snapshot, standard
from shared.practice.patchwork.asking import Ask
from shared.practice.patchwork.changes import set_state
from shared.practice.patchwork.control import mails
from shared.practice.patchwork.server import route
from tests.shared.practice.patchwork.recording import GOLDEN, Recorded, exchanges
from tests.shared.practice.patchwork.writing import a_mail, a_series


@pytest.fixture
async def site() -> AsyncIterator[Served]:
    async with served() as site:
        for mail in a_series(2):
            site.submit(mail)
        yield site


async def test_requests_are_counted_by_method_and_route(site: Served) -> None:
    headers = {"Authorization": f"Token {site.token('nipa-bot')}"}
    async with aiohttp.ClientSession(site.url, headers=headers) as client:
        await client.get("/api/1.3/series/1/")
        await client.get("/series/1/mbox/")
        for state in ("pending", "success", "success"):
            await client.post("/api/1.3/patches/2/checks/", data={"state": state, "context": "build"})
        await client.post("/api/1.3/patches/2/checks/", data={"state": "bad", "context": "build"})
        await client.get("/practice/state")
    assert site.counters.total == 6
    assert site.counters.of("/api/series/N/") == site.counters.of("/series/N/mbox/") == 1
    assert site.counters.of("/api/patches/N/checks/", "POST") == 4
    assert site.counters.check_posts == {(2, "build", "pending"): 1, (2, "build", "success"): 2}
    assert site.counters.statuses == {200: 2, 201: 3, 400: 1}
    assert site.pw.combined(2) == "success"


def test_routes_name_no_single_thing() -> None:
    assert route("/api/1.4/patches/12/checks/3/") == "/api/patches/N/checks/N/"
    assert route("/api/projects/netdevbpf/") == "/api/projects/P/"
    assert route("/project/netdevbpf/patch/1@x/mbox/") == "/project/P/patch/MSGID/mbox/"


def test_an_old_version_knows_less_and_links_less() -> None:
    site = Served(standard(), newest=(1, 2))
    for mail in a_series(2):
        site.submit(mail)
    assert site.answer(Ask("GET", "/api/1.3/")).status == 404
    answer = site.answer(Ask("GET", "/api/1.2/patches/?per_page=1"))
    assert 'rel="next"' in answer.headers["Link"]
    assert 'rel="last"' not in answer.headers["Link"]
    assert "list_archive_url" in json.loads(answer.body)[0]


async def test_a_restart_goes_on_where_it_was(tmp_path: Path) -> None:
    path = tmp_path / "patchwork.json"
    async with served(save=path) as site:
        for mail in a_series(2):
            site.submit(mail)
        set_state(site.pw, 1, "accepted", by="maintainer")
        await _post(site, "build")
        before = snapshot.dump(site.pw)
    async with served(save=path) as site:
        assert snapshot.dump(site.pw) == before
        assert site.submit(a_series(2)[1])[0]["made"] is None
        assert site.submit(a_mail(msgid="new@x"))[0]["id"] == 3
        assert site.pw.combined(1) == "success"


async def _post(site: Served, context: str) -> None:
    headers = {"Authorization": f"Token {site.token('nipa-bot')}"}
    async with aiohttp.ClientSession(headers=headers) as client:
        await client.post(f"{site.url}/api/1.3/patches/1/checks/", json={"state": "success", "context": context})


def test_the_whole_recording_survives_a_restart() -> None:
    recorded = Recorded()
    recorded.before(exchanges()[-1])
    again = standard()
    snapshot.load(again, json.loads(json.dumps(snapshot.dump(recorded.pw), default=str)))
    for target in ("/api/1.4/events/?per_page=250", "/api/1.4/series/?per_page=250", "/api/1.4/patches/?per_page=250"):
        ask = Ask("GET", target)
        assert Served(again).answer(ask).body == recorded.site.answer(ask).body


def test_git_takes_the_series_mbox(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    (tmp_path / "x").write_text("a\n")
    git(tmp_path, "add", "x")
    git(tmp_path, "commit", "--quiet", "--message", "start")
    site = Served(standard())
    sender, subject = "=?utf-8?q?Bj=C3=B8rn?= <b@example.org>", "[PATCH net] =?utf-8?q?x=3A_gr=C3=BC=C3=9Fe?="
    site.submit(a_mail(subject, sender=sender))
    site.submit(a_mail("Re: x", "r@x", reply_to="1@example.org", text="Acked-by: B <b@example.org>\n", diff=""))
    (tmp_path / "mbox").write_bytes(site.answer(Ask("GET", "/series/1/mbox/")).body)
    git(tmp_path, "am", "--quiet", "mbox")
    log = git(tmp_path, "log", "-1", "--format=%an|%s|%b")
    assert log.split("\n")[0] == "Bjørn|x: grüße|It was broken."
    assert "Acked-by: B <b@example.org>" in log
    assert (tmp_path / "x").read_text() == "b\n"


def git(folder: Path, *words: str) -> str:
    who = ("-c", "user.name=T", "-c", "user.email=t@example.org")
    done = subprocess.run(["git", *who, *words], cwd=folder, capture_output=True, text=True, check=True, timeout=20)
    return done.stdout


def test_a_mailbox_is_taken_apart_only_at_its_own_lines() -> None:
    text = b"Hello.\n\nFrom here on it is text.\n\n>From the start.\n"
    box = b"From mboxrd@z Thu Jan  1 00:00:00 1970\n" + text + b"\nFrom mboxrd@z Thu Jan  1 00:00:00 1970\nSecond.\n"
    assert list(mails(box)) == [text.replace(b">From", b"From"), b"Second.\n"]
    assert list(mails(text)) == [text]


@pytest.fixture
def process(tmp_path: Path) -> Iterator[list[str]]:
    """A practice server as a process; gives the lines it printed."""
    box = GOLDEN / "mbox" / "02-series5-cover.mbox"
    command = [sys.executable, "-m", "shared.practice.patchwork", "--listen", "127.0.0.1:0", "--mbox", str(box)]
    command += ["--save", str(tmp_path / "saved.json"), "--newest", "1.3"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        yield [running.stdout.readline().strip() for _ in range(4)]
        running.send_signal(signal.SIGTERM)
        assert running.wait(10) == 0
    assert len(json.loads((tmp_path / "saved.json").read_text())["patches"]) == 9


def test_a_process_is_fed_looked_at_and_spoiled_over_http(process: list[str]) -> None:
    url = process[0]
    tokens = dict(line.split()[1:] for line in process[1:])
    assert _json(f"{url}/api/1.3/series/1/")["received_all"] is True
    box = (GOLDEN / "mbox" / "07a-late-first.mbox").read_bytes()
    assert [made["made"] for made in _json(f"{url}/practice/mail", box)] == ["cover", "patch", "patch", "patch"]
    _json(f"{url}/practice/misbehave", b'{"kind": "lose-events", "count": 1}')
    _json(f"{url}/practice/mail", (GOLDEN / "mbox" / "07b-late-last.mbox").read_bytes())
    _json(f"{url}/practice/patch", b'{"patch": 1, "state": "superseded", "by": "maintainer"}')
    completed = _json(f"{url}/api/1.3/events/?category=series-completed")
    assert [event["payload"]["series"]["id"] for event in completed] == [1]
    state = _json(f"{url}/practice/state")
    assert state["tokens"] == tokens
    assert state["counters"]["requests"] == {"GET /api/events/": 1, "GET /api/series/N/": 1}
    assert _json(f"{url}/api/1.3/patches/1/")["state"] == "superseded"


def test_a_state_that_there_is_not_is_refused() -> None:
    site = Served(standard())
    site.submit(a_mail())
    with pytest.raises(Refused, match="superseded"):
        set_state(site.pw, 1, "gone")


def test_a_wrong_control_is_told(process: list[str]) -> None:
    with pytest.raises(urllib.error.HTTPError) as told:
        _json(f"{process[0]}/practice/misbehave", b'{"kind": "explode"}')
    assert told.value.code == 400
    assert "drop-after" in told.value.read().decode()
    told.value.close()
    _json(f"{process[0]}/practice/mail", (GOLDEN / "mbox" / "07a-late-first.mbox").read_bytes())
    _json(f"{process[0]}/practice/mail", (GOLDEN / "mbox" / "07b-late-last.mbox").read_bytes())


def _json(url: str, body: bytes | None = None) -> Any:
    with urllib.request.urlopen(url, body, timeout=10) as answer:
        return json.load(answer)
