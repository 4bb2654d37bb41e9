"""`netci hook` by an operator's hand, on a database with a sender at work; and the page that everybody sees."""

import json
import re

import pytest
from aiohttp.test_utils import TestClient, TestServer

from services.__main__ import parser
from services.report.web.app import build
from shared.errors import Missing, Refused
from shared.settings import Settings
from shared.web.sse import Hub
from tests.services.report.hooks.conftest import ReceiverFor, WorldFor
from tests.services.report.hooks.test_sender import at_work
from tests.services.report.hooks.world import Wall, World, an_arrival


def settings_of(world: World) -> Settings:
    database = world.floor.settings.database.model_copy(update={"url": world.floor.dsn})
    return world.floor.settings.model_copy(update={"database": database})


async def netci(world: World, *words: str) -> int:
    args = parser().parse_args(["hook", *words])
    return int(await args.run(args, settings_of(world)))


async def test_an_operators_round(
    world_for: WorldFor, receiver_for: ReceiverFor, capsys: pytest.CaptureFixture[str]
) -> None:
    world = await world_for(clock=Wall())
    receiver = await receiver_for("200", "500", "200")
    assert await netci(world, "list") == 0
    assert "no webhooks yet" in capsys.readouterr().out
    assert await netci(world, "add", f"{receiver.url}in?key=1", "--type", "series.arrived", "--for", "metal",
                       "--project", "netdev") == 0  # fmt: skip
    hook, secret = capsys.readouterr().out.split()[:2]
    assert re.fullmatch(r"wh_\w{16}", hook)
    receiver.secrets.append(secret)
    async with at_work(world):
        assert await netci(world, "ping", hook) == 0
        assert "delivered 200" in capsys.readouterr().out
        assert await netci(world, "ping", hook) == 1
        assert "failed 500" in capsys.readouterr().out
        await world.happens(an_arrival())
        await receiver.until(3)
    assert [call.fault for call in receiver.calls] == ["", "", ""]
    await world.lease("afterwards")
    assert await netci(world, "list") == 0
    line = capsys.readouterr().out
    assert f"{hook}  active" in line
    assert "for metal: dev.netci.series.arrived.v1, projects netdev" in line
    assert "key=1" not in line
    assert await netci(world, "pause", hook, "--why", "moving") == 0
    assert await netci(world, "resume", hook) == 0
    assert await netci(world, "redeliver", hook, "--from", "1") == 0
    assert "1 events go out again" in capsys.readouterr().out
    assert await netci(world, "deliveries", hook, "--json") == 0
    newest = json.loads(capsys.readouterr().out)[0]
    assert (newest["type"], newest["state"]) == ("dev.netci.series.arrived.v1", "due")
    assert await netci(world, "deliveries", hook, str(newest["id"])) == 0
    assert "1. " in capsys.readouterr().out
    with pytest.raises(Missing, match=f"no delivery 999 of {hook}"):
        await netci(world, "deliveries", hook, "999")
    assert await netci(world, "rotate", hook) == 0
    assert capsys.readouterr().out.startswith("whsec_")
    assert await netci(world, "show", hook) == 0
    assert "secret" not in json.loads(capsys.readouterr().out)
    assert await netci(world, "remove", hook) == 0
    audit = await world.owner.fetch("select what from floor.audit order by id")
    assert [row["what"] for row in audit] == [
        "hook add", "hook pause", "hook resume", "hook redeliver", "hook rotate", "hook remove",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (("add", "http://127.0.0.2:9999/", "--for", "nobody"), "no remote 'nobody' is configured"),
        (("add", "http://127.0.0.2:9999/", "--type", "no.such"), "no event type no.such"),
        (("redeliver", "wh_0", "--from", "9", "--to", "3"), "to: is before from"),
        (("redeliver", "wh_0"), "give the number of a delivery, or --from"),
    ],
)
async def test_wrong_use_is_told(world: World, words: tuple[str, ...], fault: str) -> None:
    with pytest.raises(Refused, match=fault):
        await netci(world, *words)


async def test_without_a_key_there_are_no_webhooks(world: World) -> None:
    none = world.floor.settings.webhooks.model_copy(update={"key_file": None})
    args = parser().parse_args(["hook", "add", "http://127.0.0.2:9999/"])
    with pytest.raises(Refused, match=r"webhooks are off here: \[webhooks\] key_file is not set; make one with"):
        await args.run(args, settings_of(world).model_copy(update={"webhooks": none}))


async def test_the_page_shows_counts_and_nothing_else(world: World, receiver_for: ReceiverFor) -> None:
    receiver = await receiver_for("500")
    hook, _ = await world.add(f"{receiver.url}in?key=1")
    await world.happens(an_arrival())
    await world.rounds()
    hub = Hub(world.floor.pool, world.floor.bells)
    await hub.start()
    async with TestClient(TestServer(build(world.floor, hub))) as client:
        page = await (await client.get("/webhooks")).text()
        twin = await (await client.get("/webhooks.json")).json()
    [row] = twin["remotes"]
    assert (row["hooks"], row["active"], row["waiting"], row["delivered"]) == (1, 1, 1, 0)
    for secret in (hook, "127.0.0.2", "key=1"):
        assert secret not in page + json.dumps(twin)
    assert "(others)" in page
