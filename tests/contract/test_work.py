"""What every body of `Work` keeps: one at a time, taken over from the dead, never twice once it is settled."""

import asyncio

import pytest

from services.executor.endings import Ending
from services.executor.work import Claim
from shared.errors import NetciError
from tests.contract.labs import Rig, begun, nothing_more, taken


async def test_without_a_branch_there_is_nothing(rig: Rig) -> None:
    assert await rig.work().claim() is None


async def test_an_order_says_what_is_to_be_tested(rig: Rig) -> None:
    await rig.announce()
    order = (await taken(rig.work())).order
    assert (order.branch, order.commit, order.base) == ("net-next-2026-11-23--09-00", "9" * 40, "b" * 40)
    assert not order.begun


async def test_what_is_in_hand_is_not_claimed_again(rig: Rig) -> None:
    await rig.announce()
    work = rig.work()
    async with nothing_more(work):
        await taken(work)


async def test_what_a_dead_process_had_is_claimed_again_under_the_same_name(rig: Rig) -> None:
    await rig.announce()
    first = await taken(rig.work())
    await begun(first)
    again = await taken(rig.work())
    assert again.order.name == first.order.name
    assert again.order.begun


async def test_numbers_of_hosts_rise_over_claims_and_processes(rig: Rig) -> None:
    await rig.announce()
    numbers = []
    for _ in range(2):
        claim = await taken(rig.work())
        for host in ("root@vm1", "root@vm2"):
            async with claim.host(host) as number:
                numbers.append(number)
    assert numbers == sorted(set(numbers))


async def test_a_host_is_for_one_at_a_time(rig: Rig) -> None:
    await rig.announce()
    claim = await taken(rig.work())
    order = []

    async def use(name: str) -> None:
        async with claim.host("root@vm1"):
            order.append(f"{name} in")
            await asyncio.sleep(0)
            order.append(f"{name} out")

    await use("a")
    await use("b")
    assert order == ["a in", "a out", "b in", "b out"]


async def test_ended_without_a_run_it_never_comes_again(rig: Rig) -> None:
    await rig.announce()
    work = rig.work()
    await (await taken(work)).finish("too late for it")
    assert await work.claim() is None
    assert await rig.work().claim() is None
    assert (await rig.ended())[0] == "skipped"


async def test_ended_with_a_run_it_never_comes_again(rig: Rig) -> None:
    await rig.announce()
    work = rig.work()
    sink = await begun(await taken(work))
    await sink.end(Ending("done", "", "well"))
    assert await work.claim() is None
    assert await rig.work().claim() is None
    assert await rig.ended() == ("done", "well")


async def put_off(claim: Claim, wait: float) -> None:
    with pytest.raises(NetciError, match="no machine") as left:
        await claim.put_off(wait, "no machine")
    await claim.broke(left.value)


async def test_put_off_it_comes_again_but_not_before(rig: Rig) -> None:
    await rig.announce()
    work = rig.work()
    await put_off(await taken(work), 3600)
    async with asyncio.timeout(20):
        assert await work.claim() is None


async def test_put_off_for_no_time_it_comes_again(rig: Rig) -> None:
    await rig.announce()
    work = rig.work()
    await put_off(await taken(work), 0)
    assert (await taken(work)).order.branch == "net-next-2026-11-23--09-00"


async def test_several_branches_each_once(rig: Rig) -> None:
    for slot in (7, 8, 9):
        await rig.announce(slot)
    work, seen = rig.work(), []
    for _ in range(3):
        claim = await taken(work)
        seen.append(claim.order.branch[-7:])
        await (await begun(claim)).end(Ending())
    assert sorted(seen) == ["--07-00", "--08-00", "--09-00"]
    assert await work.claim() is None
