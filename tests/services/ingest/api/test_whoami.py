"""Who a token is, and the ways in which one does not hold."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from shared.clock import wall
from shared.db.tokens import revoke, rotate
from shared.model.tokens import checksum, id_of
from shared.settings import Settings, parse
from tests.conftest import Database, FloorFor
from tests.services.ingest.api.lab import a_token, served

SETTINGS = """
data = "/nonexistent"
[projects.netdev.trees.net]
git = "https://git.example.org/net.git"
[[remotes]]
name = "metal"
report = true
"""


def settings() -> Settings:
    return parse(SETTINGS)


async def test_a_token_is_told_what_it_may(database: Database, floor_for: FloorFor) -> None:
    text = await a_token(await database.pool())
    async with served(await floor_for("ingest", settings()), text) as lab:
        status, body = await lab.ask("GET", "/api/v1/lab")
    assert (status, body["remote"], body["scopes"], body["counts"]) == (200, "metal", ["results:write:*"], True)


def wrong(text: str) -> str:
    body = text[:-7] + ("x" if text[-7] != "x" else "y")
    return body + checksum(body)


@pytest.mark.parametrize("spoil", [lambda t: "", lambda t: t[:-1], wrong, lambda t: "secret"])
async def test_what_is_no_token_is_refused(
    database: Database, floor_for: FloorFor, spoil: Callable[[str], str]
) -> None:
    text = await a_token(await database.pool())
    async with served(await floor_for("ingest", settings()), spoil(text)) as lab:
        status, body = await lab.ask("GET", "/api/v1/lab")
    assert (status, body["status"]) == (401, 401)


async def test_a_revoked_an_expired_and_a_rotated_one(database: Database, floor_for: FloorFor) -> None:
    owner = await database.pool()
    old, gone, late = await a_token(owner), await a_token(owner), await a_token(owner)
    floor = await floor_for("ingest", settings())
    async with owner.acquire() as conn:
        await revoke(conn, id_of(gone) or "", "test", "lost")
        new = await rotate(conn, id_of(old) or "", "test", timedelta(days=1))
        await conn.execute("update floor.tokens set created = now() - interval '2 days', "
                           "expires = now() - interval '1 second' where id = $1", id_of(late))  # fmt: skip
    answers: dict[str, Any] = {}
    async with served(floor) as lab:
        for text in (old, new.text, gone, late):
            lab.token = text
            answers[text] = await lab.ask("GET", "/api/v1/lab")
    assert [answers[t][0] for t in (old, new.text, gone, late)] == [200, 200, 401, 401]
    assert "revoked" in answers[gone][1]["detail"]
    assert "expired" in answers[late][1]["detail"]
    assert answers[old][1]["expires"] < (wall() + timedelta(days=2)).isoformat()


async def test_a_token_without_the_right_is_forbidden(database: Database, floor_for: FloorFor) -> None:
    text = await a_token(await database.pool(), ["events:read"], remote="")
    async with served(await floor_for("ingest", settings()), text) as lab:
        status, body = await lab.ask("GET", "/api/v1/lab")
    assert status == 403
    assert "results:write" in body["detail"]


async def test_last_use_is_kept_and_no_room_reads_the_table(database: Database, floor_for: FloorFor) -> None:
    owner = await database.pool()
    text = await a_token(owner)
    async with served(await floor_for("ingest", settings()), text) as lab:
        await lab.ask("GET", "/api/v1/lab")
    used = await owner.fetchrow("select used, used_from, digest from floor.tokens")
    assert used is not None
    assert used["used_from"] == "127.0.0.1"
    assert text.encode() not in bytes(used["digest"])
