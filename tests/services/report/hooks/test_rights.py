"""Who is told of what, by whose token it is now: at each delivery, not at registration."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.report.hooks.manage import Asker
from services.report.hooks.sees import Held, Wish, holder, sees
from shared.db.tokens import Order, create, revoke, rotate
from shared.events import Envelope, Event, RunDone
from shared.events.base import Visibility
from shared.model.ids import uuid7
from shared.model.tokens import Minted, Token, parse_scopes
from tests.services.report.hooks.conftest import ReceiverFor
from tests.services.report.hooks.world import World, an_arrival

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


def a_run(remote: str = "metal", stream: str = "net-next", series: int | None = None) -> RunDone:
    return RunDone(
        project="netdev", run=1, remote=remote, executor="x", stream=stream, state="done", branch="b", series=series
    )


def wrapped(event: Event, visibility: Visibility = "public") -> Envelope:
    return Envelope.around(event, id=uuid7(), source="test", time=NOW, visibility=visibility)


def a_token(id: str, *scopes: str, remote: str = "", ends: timedelta = timedelta(days=1), **more: Any) -> Token:
    return Token(id, "", remote, parse_scopes(scopes or ("hooks:manage",)), expires=NOW + ends, **more)


class Hook:
    """An endpoint, as far as its rights go."""

    def __init__(self, token_id: str = "", remote: str = "", sees: str = "public") -> None:
        self.token_id, self.remote, self.sees = token_id, remote, sees


VISIBILITIES: tuple[Visibility, ...] = ("public", "project", "operator")


@pytest.mark.parametrize(
    ("scopes", "remote", "seen"),
    [
        (("hooks:manage",), "", ["public"]),
        (("hooks:manage",), "wood", ["public"]),
        (("hooks:manage", "events:read"), "wood", ["public", "project"]),
        (("hooks:manage",), "metal", ["public", "project", "operator"]),
        (("admin",), "", ["public", "project", "operator"]),
    ],
)
def test_what_a_token_is_told_of_a_run_of_metal(scopes: Sequence[str], remote: str, seen: list[str]) -> None:
    token = a_token("a", *scopes, remote=remote)
    assert [v for v in VISIBILITIES if sees(Hook("a"), token, wrapped(a_run("metal"), v))] == seen


def test_projects_own_events_are_for_tokens_of_that_project() -> None:
    token = a_token("a", "hooks:manage", "events:read", projects=("bpf",))
    assert not sees(Hook("a"), token, wrapped(an_arrival(), "project"))
    assert sees(Hook("a"), token, wrapped(an_arrival(project="bpf"), "project"))


@pytest.mark.parametrize("level", VISIBILITIES)
def test_operators_say_what_theirs_sees(level: Visibility) -> None:
    hook = Hook(sees=level)
    token = holder(hook, {}, NOW)
    assert token is not None
    seen = [v for v in VISIBILITIES if sees(hook, token, wrapped(an_arrival(), v))]
    assert seen == list(VISIBILITIES[: VISIBILITIES.index(level) + 1])


WISHES = [
    (Wish(), True), (Wish(types=("dev.netci.run.done.v1",)), True), (Wish(types=("dev.netci.branch.cut.v1",)), False),
    (Wish(projects=("netdev",)), True), (Wish(projects=("bpf",)), False), (Wish(streams=("net-next", "x")), True),
    (Wish(streams=("x",)), False), (Wish(remotes=("metal",)), True), (Wish(remotes=("wood",)), False),
    (Wish(series=(3, 4)), True), (Wish(series=(5,)), False), (Wish(remotes=("metal",), streams=("x",)), False),
]  # fmt: skip


@pytest.mark.parametrize(("wish", "wanted"), WISHES)
def test_filters(wish: Wish, wanted: bool) -> None:
    assert wish.wants(wrapped(a_run(series=3))) is wanted


def test_an_event_that_tells_nothing_of_streams_passes_no_filter_of_streams() -> None:
    assert not Wish(streams=("net-next",)).wants(wrapped(an_arrival()))


def held(*tokens: Held) -> dict[str, Held]:
    return {h.token.id: h for h in tokens}


def test_rights_go_to_the_successor_then_to_a_colleague_then_to_nobody() -> None:
    old, new = a_token("old", remote="metal", ends=-timedelta(1)), a_token("new", remote="metal")
    other = a_token("other", remote="metal")
    hook = Hook("old", remote="metal")
    known = held(Held(old, "", False), Held(new, "old", False), Held(other, "", False))
    assert holder(hook, known, NOW) == new
    assert holder(hook, known | held(Held(new, "old", True)), NOW) == other
    wood, sandbox = a_token("wood", remote="wood"), a_token("s", remote="metal", sandbox=True)
    reader = a_token("r", "events:read", remote="metal")
    strangers = held(Held(old, "", False), *(Held(t, "", False) for t in (wood, sandbox, reader)))
    assert holder(hook, strangers, NOW) is None


# The same on the tables


async def minted(world: World, *scopes: str, remote: str = "metal") -> tuple[Minted, Asker]:
    async with world.owner.acquire() as conn:
        made = await create(conn, Order("a lab", remote, parse_scopes(scopes or ("hooks:manage",))), "test")
    return made, Asker("a lab", False, remote, made.id, (made.id,))


async def test_what_a_lab_may_not_see_is_not_even_put_in_line(world: World, receiver_for: ReceiverFor) -> None:
    receiver = await receiver_for()
    _, asker = await minted(world)
    hook, _ = await world.add(receiver.url, asker=asker)
    await world.happens(an_arrival(1), visibility="operator")
    await world.happens(a_run("wood"), visibility="operator")
    await world.happens(a_run("metal"), visibility="operator")
    await world.happens(an_arrival(2))
    await world.rounds()
    assert await world.states(hook) == [(3, "delivered"), (4, "delivered")]


async def test_rights_are_looked_at_anew_before_each_attempt(world: World, receiver_for: ReceiverFor) -> None:
    receiver = await receiver_for("500")
    token, asker = await minted(world, "hooks:manage", "events:read", remote="")
    hook, _ = await world.add(receiver.url, asker=asker)
    await world.happens(an_arrival(1), visibility="project")
    await world.rounds()
    await world.owner.execute("update floor.tokens set scopes = '{hooks:manage}' where id = $1", token.id)
    world.clock.forward(seconds=5)
    await world.rounds()
    assert await world.states(hook) == [(1, "dropped")]
    assert len(receiver.calls) == len(await world.attempts(hook)) == 1


async def test_with_its_token_an_endpoint_ends(world: World, receiver_for: ReceiverFor) -> None:
    receiver = await receiver_for()
    token, asker = await minted(world)
    hook, _ = await world.add(receiver.url, asker=asker)
    async with world.owner.acquire() as conn:
        await revoke(conn, token.id, "test", "stolen")
    await world.happens(an_arrival())
    await world.rounds()
    row = await world.hook(hook)
    assert (row["state"], row["why"]) == ("disabled", "the token that made it holds no longer")
    assert receiver.calls == []


async def test_a_rotated_token_keeps_its_endpoints(world: World, receiver_for: ReceiverFor) -> None:
    receiver = await receiver_for()
    token, asker = await minted(world, remote="")
    hook, _ = await world.add(receiver.url, asker=asker)
    async with world.owner.acquire() as conn:
        await rotate(conn, token.id, "test", timedelta(0))
    await world.happens(an_arrival())
    world.clock.forward(seconds=60)
    await world.rounds()
    assert await world.states(hook) == [(1, "delivered")]
