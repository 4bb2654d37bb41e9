"""The sender as it runs: many endpoints at once, one process at a time, and what is left when it dies."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from services.report.hooks import manage
from services.report.hooks.carry import client
from services.report.hooks.doctor import sealed
from services.report.hooks.manage import Asker, Span
from services.report.hooks.sender import ILL, UNKNOWN, WELL, Sender
from shared.errors import Missing, Refused
from shared.practice.receiver import Receiver, receiving
from tests.services.report.hooks.certificates import authority
from tests.services.report.hooks.conftest import ReceiverFor, WorldFor
from tests.services.report.hooks.world import NAME, OURS, World, an_arrival, make_key

OPERATOR = Asker("operator", all=True)


@asynccontextmanager
async def at_work(world: World) -> AsyncIterator[None]:
    running = asyncio.ensure_future(world.sender.run(world.number))
    try:
        yield
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_dead_receivers_delay_nobody(world: World, receiver_for: ReceiverFor) -> None:
    """More receivers that never answer than there are hands: all hands are full, until they are known to be ill."""
    silent, good = await receiver_for("slow:3600"), await receiver_for()
    silent_hooks = [(await world.add(f"{silent.url}{n}"))[0] for n in range(WELL + ILL + 4)]
    await world.owner.execute("update report.hooks set failures = 1 where id = any($1)", silent_hooks)
    await world.add(good.url)
    async with at_work(world):
        for n in (1, 2, 3):
            await world.happens(an_arrival(n))
        await good.until(3)
        await silent.until(ILL)
        # What is silent is still being waited for, by its own hands only.
        assert len(silent.calls) == ILL
    assert [json.loads(call.body)["data"]["series"] for call in good.calls] == [1, 2, 3]


async def test_what_nobody_thought_of_hurts_the_one_that_brought_it_about(
    world: World, receiver_for: ReceiverFor
) -> None:
    odd, good = await receiver_for(), await receiver_for()
    world.names.answers[NAME] = [[OURS], ["no address at all"]]
    hook, _ = await world.add(odd.url.replace(OURS, NAME))
    await world.add(good.url)
    await world.happens(an_arrival())
    await world.rounds()
    assert len(good.calls) == 1
    assert [(a["outcome"], a["error"]) for a in await world.attempts(hook)] == [
        ("failed", "the fault is ours: ValueError")
    ]


async def test_one_request_at_a_time_for_each_endpoint_in_the_order_of_the_log(
    world: World, receiver_for: ReceiverFor
) -> None:
    receiver = await receiver_for()
    await world.add(receiver.url)
    async with at_work(world):
        await world.happens(*(an_arrival(n) for n in range(1, 41)))
        await receiver.until(40)
    assert [json.loads(call.body)["data"]["series"] for call in receiver.calls] == list(range(1, 41))


async def test_an_attempt_that_we_died_in_is_of_unknown_outcome_and_the_next_is_by_the_schedule(
    world: World, receiver_for: ReceiverFor
) -> None:
    receiver = await receiver_for("slow:3600", "200")
    hook, _ = await world.add(receiver.url)
    await world.happens(an_arrival())
    async with at_work(world):
        await receiver.until(1)
    assert await world.states(hook) == [(1, "sending")]
    world.sender = Sender(world.floor, world.carrier, chance=lambda: 0.0)
    await world.lease("another process")
    [lost] = await world.attempts(hook)
    assert (lost["outcome"], lost["error"]) == ("unknown", UNKNOWN.error)
    assert await world.due() == 5
    assert await world.rounds() == 0
    world.clock.forward(seconds=5)
    assert await world.rounds() == 1
    assert [(a["number"], a["outcome"]) for a in await world.attempts(hook)] == [(1, "unknown"), (2, "delivered")]
    assert len({call.id for call in receiver.calls}) == 1


async def test_who_lost_the_lease_takes_nothing_up(world: World, receiver_for: ReceiverFor) -> None:
    receiver = await receiver_for()
    hook, _ = await world.add(receiver.url)
    old = Sender(world.floor, world.carrier)
    await old.begin(world.number)
    await world.lease("another process")
    await world.happens(an_arrival())
    assert await old.round() == 0
    assert await world.rounds() == 1
    assert await world.states(hook) == [(1, "delivered")]


async def test_the_name_stays_in_tls_while_the_connection_goes_to_the_judged_address(
    world_for: WorldFor, tmp_path: Path
) -> None:
    ca_file, trust = authority(tmp_path, NAME)
    world = await world_for(f'ca_file = "{ca_file}"')
    async with receiving(Receiver(host=OURS, clock=lambda: world.clock().timestamp()), trust=trust) as receiver:
        world.names.answers = {NAME: [[OURS]], "other.example.org": [[OURS]]}
        hook, secret = await world.add(f"https://{NAME}:{receiver.port}/")
        receiver.secrets.append(secret)
        wrong, _ = await world.add(f"https://other.example.org:{receiver.port}/")
        await world.happens(an_arrival())
        assert await world.rounds() == 2
    assert [(call.fault, call.headers["host"]) for call in receiver.calls] == [("", f"{NAME}:{receiver.port}")]
    [refused] = await world.attempts(wrong)
    assert (refused["outcome"], refused["status"]) == ("failed", None)
    assert "Hostname mismatch" in refused["error"]
    assert await world.states(hook) == [(1, "delivered")]


async def test_a_certificate_that_nobody_knows_is_not_believed(world: World, tmp_path: Path) -> None:
    _, trust = authority(tmp_path, NAME)
    async with receiving(Receiver(host=OURS), trust=trust) as receiver:
        world.names.answers = {NAME: [[OURS]]}
        hook, _ = await world.add(f"https://{NAME}:{receiver.port}/")
        await world.happens(an_arrival())
        await world.rounds()
    assert receiver.calls == []
    assert "certificate verify failed" in (await world.attempts(hook))[0]["error"]


async def test_http_is_for_networks_of_ours_alone(world: World) -> None:
    world.names.answers = {"open.example.org": [["93.184.216.34"]]}
    with pytest.raises(Refused, match=r"http to open\.example\.org is refused: use https"):
        await world.add("http://open.example.org/")
    await world.add("https://open.example.org/")
    with pytest.raises(Refused, match="is on a private network"):
        await world.add("https://127.0.0.1/")
    with pytest.raises(Refused, match="is on a private network"):
        await world.add("https://[::ffff:169.254.169.254]/")


async def test_a_secret_sealed_with_another_key_counts_as_no_attempt(world: World, receiver_for: ReceiverFor) -> None:
    receiver = await receiver_for()
    hook, _ = await world.add(receiver.url)
    await world.owner.execute("update report.hooks set secret = decode(repeat('00', 60), 'hex')")
    await world.happens(an_arrival())
    assert await world.rounds() == 1
    assert (await world.attempts(hook), receiver.calls) == ([], [])
    assert await world.due() == 300
    health = await world.owner.fetchrow("select ok, text from floor.health where name = 'webhooks'")
    assert health is not None
    assert tuple(health) == (False, "a secret cannot be opened")


# What an owner does


async def test_for_a_while_both_secrets_sign(world: World, receiver_for: ReceiverFor) -> None:
    receiver = await receiver_for()
    hook, old = await world.add(receiver.url)
    async with world.floor.pool.acquire() as conn:
        new = await world.desk.rotate(conn, OPERATOR, hook, timedelta(hours=1), world.clock())
    await world.happens(an_arrival(1))
    await world.rounds()
    world.clock.forward(hours=2)
    await world.happens(an_arrival(2))
    await world.rounds()
    first, second = receiver.calls
    assert len(first.headers["webhook-signature"].split(" ")) == 2
    for secret, right in ((old, [True, False]), (new, [True, True])):
        receiver.secrets = [secret]
        world.clock.forward(hours=-2)
        faults = [receiver._fault(first.headers, first.body)]
        world.clock.forward(hours=2)
        faults.append(receiver._fault(second.headers, second.body))
        assert [fault == "" for fault in faults] == right


async def test_a_ping_goes_out_once_even_to_one_that_is_paused(world: World, receiver_for: ReceiverFor) -> None:
    receiver = await receiver_for("500")
    hook, _ = await world.add(receiver.url)
    async with world.floor.pool.acquire() as conn:
        await manage.pause(conn, OPERATOR, hook, "moving house", world.clock())
        number = await manage.ping(conn, OPERATOR, hook, world.clock())
    assert await world.rounds() == 1
    told = json.loads(receiver.calls[0].body)
    assert (told["type"], told["data"]["hook"], told["sequence"]) == ("dev.netci.ping.v1", hook, "")
    assert await world.states(hook) == [(0, "failed")]
    row = await world.hook(hook)
    assert (row["state"], row["failures"]) == ("paused", 0)
    assert await world.owner.fetchval("select count(*) from floor.events") == 0
    async with world.floor.pool.acquire() as conn:
        with pytest.raises(Refused, match="is a ping, or on its way"):
            await manage.redeliver(conn, OPERATOR, hook, number, world.clock())


async def test_what_happens_in_a_pause_goes_out_after_it(world: World, receiver_for: ReceiverFor) -> None:
    receiver = await receiver_for()
    hook, _ = await world.add(receiver.url)
    async with world.floor.pool.acquire() as conn:
        await manage.pause(conn, OPERATOR, hook, "moving house", world.clock())
    await world.happens(an_arrival(1), an_arrival(2))
    assert await world.rounds() == 0
    async with world.floor.pool.acquire() as conn:
        await manage.resume(conn, OPERATOR, hook, world.clock())
    assert await world.rounds() == 2
    assert await world.states(hook) == [(1, "delivered"), (2, "delivered")]


async def test_one_is_redelivered_under_the_same_id_and_the_log_goes_on(
    world: World, receiver_for: ReceiverFor
) -> None:
    receiver = await receiver_for()
    hook, _ = await world.add(receiver.url)
    await world.happens(an_arrival())
    await world.rounds()
    number = await world.owner.fetchval("select id from report.deliveries")
    async with world.floor.pool.acquire() as conn:
        await manage.redeliver(conn, OPERATOR, hook, number, world.clock())
        with pytest.raises(Missing, match=f"no delivery {number + 1} of {hook}"):
            await manage.redeliver(conn, OPERATOR, hook, number + 1, world.clock())
    await world.rounds()
    first, second = receiver.calls
    assert (first.id, first.body) == (second.id, second.body)
    assert [a["number"] for a in await world.attempts(hook)] == [1, 2]


async def test_a_range_is_redelivered_also_what_was_missed_while_disabled(
    world: World, receiver_for: ReceiverFor
) -> None:
    receiver = await receiver_for("410", "200")
    await world.happens(an_arrival(1))
    hook, _ = await world.add(receiver.url, types=("dev.netci.series.arrived.v1",))
    await world.happens(an_arrival(2))
    await world.rounds()
    await world.happens(an_arrival(3))
    await world.rounds()
    async with world.floor.pool.acquire() as conn:
        await manage.resume(conn, OPERATOR, hook, world.clock())
        now = world.clock()
        assert await manage.redeliver_span(conn, OPERATOR, hook, Span(1, None), now) == 3
        assert await manage.redeliver_span(conn, OPERATOR, hook, Span(2, 2), now) == 1
        early = Span(since=now - timedelta(hours=2), until=now - timedelta(hours=1))
        assert await manage.redeliver_span(conn, OPERATOR, hook, early, now) == 0
    await world.rounds()
    told = [json.loads(call.body)["data"]["series"] for call in receiver.calls]
    assert told == [2, 1, 2, 3]


async def test_an_event_is_put_in_line_once_however_often_the_log_is_read(
    world: World, receiver_for: ReceiverFor
) -> None:
    receiver = await receiver_for()
    hook, _ = await world.add(receiver.url)
    await world.happens(an_arrival())
    await world.rounds()
    await world.owner.execute("update floor.cursors set sequence = 0 where name = 'webhooks'")
    await world.rounds()
    assert len(receiver.calls) == 1
    assert await world.states(hook) == [(1, "delivered")]


async def test_old_deliveries_go_and_none_before_its_schedule_is_over(
    world_for: WorldFor, receiver_for: ReceiverFor
) -> None:
    world = await world_for()
    receiver = await receiver_for()
    hook, _ = await world.add(receiver.url)
    await world.happens(an_arrival())
    await world.rounds()
    world.clock.forward(days=29)
    assert await world.sender.forget() == 0
    world.clock.forward(days=2)
    assert await world.sender.forget() == 1
    assert await world.states(hook) == []


async def test_a_lost_key_is_found_by_the_doctor(world: World, receiver_for: ReceiverFor) -> None:
    hook, _ = await world.add((await receiver_for()).url)
    settings = world.floor.settings.model_copy(update={"database": world.floor.settings.database.model_copy(
        update={"url": world.floor.dsn})})  # fmt: skip
    assert (await sealed(settings)).ok
    assert settings.webhooks.key_file is not None
    make_key(settings.webhooks.key_file)
    finding = await sealed(settings)
    assert (finding.ok, finding.detail) == (False, f"the key does not fit 1 of 1: {hook}")
    off = settings.model_copy(update={"webhooks": settings.webhooks.model_copy(update={"key_file": None})})
    assert "key_file is not set, and 1 are registered" in (await sealed(off)).detail


async def test_a_ca_file_that_is_none_is_told(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"webhooks\.ca_file: .*nothing"):
        client("", tmp_path / "nothing")
