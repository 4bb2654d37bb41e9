"""Receivers that misbehave in every way: the schedule, the log and the refusals. The clock is set, nobody sleeps."""

import json
from contextlib import AsyncExitStack
from datetime import timedelta
from itertools import accumulate

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from services.report.hooks.follow import follow_once
from services.report.hooks.schedule import WAITS
from shared.practice.receiver import Receiver, receiving
from tests.services.report.hooks.conftest import ReceiverFor, WorldFor
from tests.services.report.hooks.world import NAME, OURS, World, an_arrival


async def play(world: World) -> list[float]:
    """Go from one attempt to the next until nothing is due; gives when each was made, in seconds from now."""
    began, made = world.clock(), []
    while await follow_once(world.floor):
        pass
    while (wait := await world.due()) is not None:
        world.clock.forward(seconds=max(0.0, wait))
        taken = await world.sender.round()
        assert taken, "said to be due, and not taken up"
        made += [round((world.clock() - began).total_seconds(), 3)] * taken
    return made


async def test_a_delivery_is_a_cloudevent_that_the_public_package_verifies(
    world: World, receiver_for: ReceiverFor
) -> None:
    receiver = await receiver_for()
    _, secret = await world.add(receiver.url + "in?key=1")
    receiver.secrets.append(secret)
    await world.happens(an_arrival(7))
    assert await world.rounds() == 1
    [call] = receiver.calls
    told = Webhook(secret).verify(call.body, call.headers)
    [logged] = await world.owner.fetch("select body from floor.events")
    assert told == logged["body"] | {"timestamp": logged["body"]["time"]}
    assert (told["type"], told["specversion"]) == ("dev.netci.series.arrived.v1", "1.0")
    assert (told["data"]["series"], call.id) == (7, told["id"])
    assert call.headers["content-type"] == "application/cloudevents+json"
    assert call.headers["user-agent"] == "netci (+https://ci.example.org)"
    assert (call.fault, call.path) == ("", "/in")


async def test_a_changed_body_does_not_verify(world: World, receiver_for: ReceiverFor) -> None:
    receiver = await receiver_for()
    _, secret = await world.add(receiver.url)
    await world.happens(an_arrival())
    await world.rounds()
    call = receiver.calls[0]
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(call.body.replace(b"tcp", b"udp"), call.headers)


async def test_500_then_200_is_the_same_event_again_after_five_seconds(world: World, receiver_for: ReceiverFor) -> None:
    receiver = await receiver_for("500", "200")
    hook, secret = await world.add(receiver.url)
    receiver.secrets.append(secret)
    await world.happens(an_arrival())
    assert await play(world) == [0, 5]
    first, second = receiver.calls
    assert (first.id, first.body, first.fault) == (second.id, second.body, second.fault)
    assert int(second.headers["webhook-timestamp"]) - int(first.headers["webhook-timestamp"]) == 5
    log = await world.attempts(hook)
    assert [(a["number"], a["outcome"], a["status"]) for a in log] == [(1, "failed", 500), (2, "delivered", 200)]
    assert log[0]["error"] == "answered 500; only 2xx is taken as delivered"
    assert log[0]["answer"] == "as I was told"
    assert log[0]["address"] == OURS
    assert log[0]["seconds"] > 0
    assert log[0]["headers"] == {
        name: first.headers[name.lower()] for name in ("Content-Type", "webhook-id", "webhook-timestamp")
    }
    assert await world.states(hook) == [(1, "delivered")]
    assert (await world.hook(hook))["failures"] == 0


async def test_a_dead_receiver_is_asked_by_the_schedule_then_disabled_with_a_notice(
    world: World, receiver_for: ReceiverFor
) -> None:
    async with receiving(Receiver(host=OURS)) as gone:
        url = gone.url
    hook, _ = await world.add(url, types=("dev.netci.series.arrived.v1",))
    other = await receiver_for()
    await world.add(other.url, types=("dev.netci.hook.disabled.v1",), sees="operator")
    await world.happens(an_arrival())
    assert await play(world) == list(accumulate(WAITS))
    assert sum(WAITS) == timedelta(hours=75, minutes=35, seconds=5).total_seconds()
    log = await world.attempts(hook)
    assert [(a["number"], a["outcome"], a["status"]) for a in log] == [(n, "failed", None) for n in range(1, 11)]
    assert "cannot be reached" in log[0]["error"]
    row = await world.hook(hook)
    assert row["state"] == "disabled"
    assert row["why"] == "nothing could be delivered in 10 attempts over 76 hours"
    assert await world.states(hook) == [(1, "failed")]
    await other_hears(world, other, hook, row["why"])
    await world.happens(an_arrival(2))
    assert await world.rounds() == 0


async def other_hears(world: World, other: Receiver, hook: str, why: str) -> None:
    """The notice is an event like any other: who may see it is told."""
    while not other.calls:
        seen = world.floor.bells.count("netci_events")
        await world.rounds()
        if not other.calls:
            await world.floor.bells.wait("netci_events", seen, 1)
    told = json.loads(other.calls[0].body)
    assert (told["subject"], told["data"]["reason"], told["visibility"]) == (f"hook/{hook}", why, "operator")


async def test_a_slow_receiver_has_its_time_and_no_more(world_for: WorldFor, receiver_for: ReceiverFor) -> None:
    world = await world_for(patience=0.2)
    receiver = await receiver_for("slow:3600", "200")
    hook, _ = await world.add(receiver.url)
    await world.happens(an_arrival())
    assert await play(world) == [0, 5]
    log = await world.attempts(hook)
    assert [(a["outcome"], a["error"]) for a in log] == [("failed", "no answer within 0.2 s"), ("delivered", "")]
    assert len({call.id for call in receiver.calls}) == 1


async def test_a_redirect_to_127_0_0_1_is_a_failure_and_is_not_followed(
    world: World, receiver_for: ReceiverFor
) -> None:
    target = await receiver_for(host="127.0.0.1")
    receiver = await receiver_for(f"302:{target.url}in?secret=1", "308:https://8.8.8.8/elsewhere", "200")
    hook, _ = await world.add(receiver.url)
    await world.happens(an_arrival())
    assert await play(world) == [0, 5, 305]
    log = await world.attempts(hook)
    assert [(a["outcome"], a["status"], a["error"]) for a in log] == [
        ("failed", 302, f"answered 302 to {target.url}in; redirects are not followed, and that is a private address, "
                        "which is refused"),
        ("failed", 308, "answered 308 to https://8.8.8.8/elsewhere; redirects are not followed"),
        ("delivered", 200, ""),
    ]  # fmt: skip
    assert target.calls == []


async def test_410_disables_at_once_and_drops_what_waits(world: World, receiver_for: ReceiverFor) -> None:
    receiver = await receiver_for("410")
    hook, _ = await world.add(receiver.url, types=("dev.netci.series.arrived.v1",))
    await world.happens(an_arrival(1), an_arrival(2))
    assert await play(world) == [0]
    row = await world.hook(hook)
    assert (row["state"], row["why"]) == ("disabled", "it answered 410: gone")
    assert await world.states(hook) == [(1, "failed"), (2, "dropped")]
    assert len(receiver.calls) == 1


@pytest.mark.parametrize("status", [429, 502, 503, 504])
async def test_retry_after_is_waited_for(world: World, receiver_for: ReceiverFor, status: int) -> None:
    receiver = await receiver_for(f"{status}:120", f"{status}:1", f"{status}:9999999", "200")
    hook, _ = await world.add(receiver.url)
    await world.happens(an_arrival())
    # Longer than the schedule's 5 s is obeyed, shorter than its 5 min is not early, endless is capped at a day.
    assert await play(world) == [0, 120, 420, 420 + 86400]
    assert [a["status"] for a in await world.attempts(hook)] == [status, status, status, 200]


async def test_retry_after_as_a_date_holds_back_the_whole_endpoint(world: World, receiver_for: ReceiverFor) -> None:
    at = world.clock() + timedelta(seconds=90)
    receiver = await receiver_for(f"429:{at:%a,_%d_%b_%Y_%H:%M:%S_GMT}".replace("_", " "), "200")
    await world.add(receiver.url)
    await world.happens(an_arrival(1), an_arrival(2))
    assert await play(world) == [0, 90, 90]
    assert [json.loads(call.body)["data"]["series"] for call in receiver.calls] == [1, 1, 2]


async def test_a_name_that_leads_to_a_private_address_the_second_time_leads_nowhere(
    world: World, receiver_for: ReceiverFor
) -> None:
    receiver, inside = await receiver_for("500", "200"), await receiver_for(host="127.0.0.1")
    # Asked at registration, at the first attempt, at the second, at the third.
    world.names.answers[NAME] = [[OURS], [OURS], ["127.0.0.1"], [OURS, "10.0.0.1"], [OURS]]
    hook, _ = await world.add(f"http://{NAME}:{receiver.port}/")
    await world.happens(an_arrival())
    assert await play(world) == [0, 5, 305, 2105]
    log = await world.attempts(hook)
    refused = ("refused", None, f"{NAME} is on a private network", "")
    assert [(a["outcome"], a["status"], a["error"], a["address"]) for a in log[1:3]] == [refused, refused]
    assert [a["outcome"] for a in log] == ["failed", "refused", "refused", "delivered"]
    assert (len(receiver.calls), inside.calls) == (2, [])


async def test_the_connection_goes_to_the_address_that_was_judged(world: World, receiver_for: ReceiverFor) -> None:
    receiver = await receiver_for()
    world.names.answers[NAME] = [[OURS], [OURS], ["10.0.0.1"]]
    await world.add(f"http://{NAME}:{receiver.port}/")
    await world.happens(an_arrival())
    assert await world.rounds() == 1
    # Resolved once for the attempt, though a second answer lay ready: the client was given an address, not a name.
    assert world.names.asked == [NAME, NAME]
    assert receiver.calls[0].headers["host"] == f"{NAME}:{receiver.port}"


@pytest.mark.parametrize("how", ["reset", "half", "endless"])
async def test_answers_that_break_off(world: World, receiver_for: ReceiverFor, how: str) -> None:
    receiver = await receiver_for(how, "200")
    hook, _ = await world.add(receiver.url)
    await world.happens(an_arrival())
    # A status of 2xx is an answer, however the body after it goes on.
    assert await play(world) == ([0, 5] if how == "reset" else [0])
    first = (await world.attempts(hook))[0]
    assert (first["outcome"], first["status"]) == (("failed", None) if how == "reset" else ("delivered", 200))
    assert len(first["answer"]) <= 1024


async def test_a_failing_event_does_not_hold_up_the_next_ones(world: World, receiver_for: ReceiverFor) -> None:
    receiver = await receiver_for("500", "200")
    hook, _ = await world.add(receiver.url)
    await world.happens(*(an_arrival(n) for n in (1, 2, 3)))
    assert await world.rounds() == 1
    world.clock.forward(seconds=5)
    assert await world.rounds() == 3
    assert [json.loads(call.body)["data"]["series"] for call in receiver.calls] == [1, 1, 2, 3]
    assert [state for _, state in await world.states(hook)] == ["delivered"] * 3


async def test_an_event_that_cannot_be_digested_is_given_up_alone(world: World, receiver_for: ReceiverFor) -> None:
    receiver = await receiver_for()
    hook, _ = await world.add(receiver.url)
    await world.happens(an_arrival(1))
    for n in range(len(WAITS)):
        receiver.behave = ["500", "200"]
        await world.sender.round()
        world.clock.forward(seconds=max(5.0, WAITS[n + 1] if n + 1 < len(WAITS) else 0))
        if n == 4:
            await world.happens(an_arrival(2))
            receiver.behave = ["200"]
            await world.owner.execute("update report.deliveries set due = due + interval '1 second' where sequence = 1")
            await world.sender.round()
            world.clock.forward(seconds=1)
    assert await world.states(hook) == [(1, "failed"), (2, "delivered")]
    assert (await world.hook(hook))["state"] == "active"


async def test_answers_are_made_fit_to_read(world: World) -> None:
    async with AsyncExitStack() as stack:
        receiver = Receiver(behave=["500:\x1b[2J\x00bad\u202e" + "x" * 5000], host=OURS)
        await stack.enter_async_context(receiving(receiver))
        hook, _ = await world.add(receiver.url)
        await world.happens(an_arrival())
        await world.rounds()
    answer = (await world.attempts(hook))[0]["answer"]
    assert answer.startswith("\ufffdbad\ufffdxxx")
    assert len(answer) <= 1024
