"""Calls that wake us: who is believed to be who, what is woken by it, and what a flood of them costs."""

import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp.test_utils import unused_port
from standardwebhooks import Webhook

from services.ingest.api.callers import callers_of
from shared.errors import Refused
from shared.floor import Floor
from shared.formats.signed import new_secret
from shared.practice.patchwork import Served
from shared.settings import Settings
from tests.conftest import FloorFor
from tests.services.ingest.api.lab import Lab, served
from tests.services.ingest.build import a_series, arrived, at_work, health, some_settings, submit, until

HUB = "a-secret-of-github's-kind"
PATH = "/hooks/patchwork/netdev"


@pytest.fixture
def secret() -> str:
    return new_secret()


def settings_with(folder: Path, secret: str, url: str = "http://127.0.0.1:1", listen: str = "") -> Settings:
    """Hooks of netdev: its Patchwork by Standard Webhooks, its tree net as GitHub signs."""
    for name, text in (("patchwork", secret), ("git", HUB)):
        (folder / name).write_text(text)
        (folder / name).chmod(0o600)
    made = some_settings(url, poll="1h", reconcile="1h", sync_queue="1h").model_dump(by_alias=True)
    made["hooks"] = [
        {"project": "netdev", "secret_file": folder / "patchwork"},
        {"project": "netdev", "tree": "net", "secret_file": folder / "git"},
    ]
    made["ingest"] = {"listen": listen} if listen else {}
    return Settings.model_validate(made)


def signed(secret: str, body: bytes = b"{}", ident: str = "msg_1", at: datetime | None = None) -> dict[str, str]:
    """Headers as the public package makes them."""
    at = at or datetime.now(UTC)
    return {
        "webhook-id": ident, "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(secret).sign(ident, at, body.decode()),
    }  # fmt: skip


def hub(body: bytes, secret: str = HUB) -> dict[str, str]:
    return {"X-Hub-Signature-256": "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}


async def call(lab: Lab, path: str, headers: dict[str, str], body: bytes = b"{}") -> tuple[int, Any]:
    return await lab.ask("POST", path, headers=headers, data=body)


async def test_a_mail_is_seen_without_waiting_for_the_poll(
    floor_for: FloorFor, site: Served, tmp_path: Path, secret: str
) -> None:
    listen = f"127.0.0.1:{unused_port()}"
    floor = await floor_for("ingest", settings_with(tmp_path, secret, site.url, listen))
    async with at_work(floor), aiohttp.ClientSession() as http:
        await until(floor, lambda: health(floor))
        await until(floor, lambda: floor.pool.fetchval("select polled from ingest.sources"))
        submit(site, a_series("tcp: called"))
        # The next regular poll is in an hour.
        answer = await http.post(f"http://{listen}{PATH}", headers=signed(secret), data=b"{}")
        assert (answer.status, await answer.json()) == (202, {"woken": True})
        [event] = await arrived(floor)
    assert event["title"] == "tcp: called"


@pytest.fixture
async def floor(floor_for: FloorFor, tmp_path: Path, secret: str) -> Floor:
    return await floor_for("ingest", settings_with(tmp_path, secret))


async def test_the_same_call_again_is_taken_and_wakes_nobody(floor: Floor, secret: str) -> None:
    headers = signed(secret)
    async with served(floor) as lab:
        first, again = [await call(lab, PATH, headers) for _ in range(2)]
        other = await call(lab, PATH, signed(secret, ident="msg_2"))
    assert [first, again, other] == [(202, {"woken": True}), (202, {"woken": False}), (202, {"woken": True})]
    assert await floor.pool.fetchval("select count(*) from ingest.hook_calls") == 2


async def test_a_call_signed_as_github_signs(floor: Floor) -> None:
    body = b'{"ref":"refs/heads/main"}'
    async with served(floor) as lab:
        good = await call(lab, "/hooks/git/netdev/net", hub(body), body)
        bad = await call(lab, "/hooks/git/netdev/net", hub(b"other"), body)
    assert (good, bad[0]) == ((202, {"woken": True}), 401)
    assert bad[1]["detail"] == "the signature does not fit"


async def test_times_more_than_five_minutes_off_are_refused(floor: Floor, secret: str) -> None:
    now = datetime.now(UTC)
    async with served(floor) as lab:
        for n, off in enumerate((-301, 301, -290, 290)):
            headers = signed(secret, ident=f"m{n}", at=now + timedelta(seconds=off))
            status, body = await call(lab, PATH, headers)
            assert status == (202 if abs(off) < 300 else 401), body


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ({}, "webhook-id, webhook-timestamp and webhook-signature are needed"),
        ({"webhook-signature": "v1,xx"}, "webhook-id, webhook-timestamp and webhook-signature are needed"),
        ({"webhook-timestamp": "9" * 40}, "webhook-timestamp is no number of seconds"),
        ({"webhook-timestamp": "-1"}, "webhook-timestamp is no number of seconds"),
        ({"webhook-signature": "v1,\xe9 v1a,abc nonsense"}, "the signature does not fit"),
        ({"X-Hub-Signature-256": "sha256=00"}, "the signature does not fit"),
    ],
)
async def test_bad_signatures_are_401(floor: Floor, secret: str, headers: dict[str, str], words: str) -> None:
    whole = signed(secret) | headers if headers and "," not in words else headers
    async with served(floor) as lab:
        status, body = await call(lab, PATH, whole)
    assert (status, body["detail"]) == (401, words)
    assert await floor.pool.fetchval("select count(*) from ingest.hook_calls") == 0


async def test_names_that_nobody_configured_are_404_whatever_they_are_signed_with(floor: Floor, secret: str) -> None:
    async with served(floor) as lab:
        for path in ("/hooks/patchwork/bpf", "/hooks/git/netdev/net-next", "/hooks/git/netdev/nothing"):
            assert (await call(lab, path, signed(secret)))[0] == 404


async def test_a_body_over_64_kib_is_413(floor: Floor, secret: str) -> None:
    body = b"x" * (64 << 10)
    async with served(floor) as lab:
        assert (await call(lab, PATH, signed(secret, body), body))[0] == 202
        assert (await call(lab, PATH, signed(secret, body + b"x"), body + b"x"))[0] == 413


async def test_a_flood_is_429_with_the_standard_headers(floor: Floor) -> None:
    async with served(floor) as lab:
        statuses = [(await call(lab, PATH, {}))[0] for _ in range(40)]
        async with lab.http.post(lab.base + PATH) as answer:
            assert answer.status == 429
            assert {"Retry-After", "RateLimit", "RateLimit-Policy"} <= set(answer.headers)
    assert statuses[:30] == [401] * 30
    assert 429 in statuses[30:]


def test_secrets_that_are_missing_or_weak_are_told_at_the_start(tmp_path: Path, secret: str) -> None:
    settings = settings_with(tmp_path, "short")
    with pytest.raises(Refused, match=r"/hooks/patchwork/netdev is too short: 16 characters"):
        callers_of(settings)
    (tmp_path / "patchwork").write_text("whsec_notbase64notbase64!")
    with pytest.raises(Refused, match="no secret of the form whsec_"):
        callers_of(settings)
    (tmp_path / "patchwork").unlink()
    with pytest.raises(Refused, match="No such file"):
        callers_of(settings)
