import asyncio, random, pytest
from services.branch.app import BranchRoom
from tests.services.branch.test_cutter import cuts, announced, decisions
from tests.services.branch.conftest import *
from tests.conftest import *
from shared.db.bells import Bells

@pytest.mark.parametrize("seed", range(4))
async def test_chaos(world_for, seed):
    rnd = random.Random(seed)
    world = await world_for()
    ids = []
    for rnd_no in range(14):
        if rnd_no < 8:
            ids.append(await world.series(world.change("net/core/dev.c", 1 + rnd_no * 3, f"c{seed}"), name=f"s{rnd_no}", files=["net/core/dev.c"]))
        if rnd_no in (4, 8, 11):
            names = [f"s{n}@example.org" for n in range(len(ids))]
            await world.owner.execute("insert into branch.requests (project, stream, message_ids, by) values ('netdev', 'next', $1, 'ada')", names)
            world.clock.forward(minutes=1)
        try:
            async with asyncio.timeout(rnd.uniform(0.05, 1.2)):
                await BranchRoom(world.floor).run(lambda: None)
        except TimeoutError:
            pass
        await world.owner.execute("update floor.work set lease_until = now() where state = 'leased'")
        await world.owner.execute("delete from floor.leases")
    try:
        async with asyncio.timeout(25):
            t = asyncio.ensure_future(BranchRoom(world.floor).run(lambda: None))
            while (await world.owner.fetchval("select count(*) from branch.cuts where state='announced'")) < 3 or await world.owner.fetchval("select count(*) from branch.applied_v") < 8:
                await asyncio.sleep(0.2)
    finally:
        t.cancel(); await asyncio.gather(t, return_exceptions=True)
    rows = await cuts(world)
    assert len(rows) == 3 == len(await announced(world)) == len(world.branches())
    assert {r["name"]: r["commit"] for r in rows} == world.branches()
    ev = await world.owner.fetch("select body->'data'->>'series' as s from (select type, body from floor.outbox union all select type, body from floor.events) x where type='dev.netci.series.applied.v1'")
    assert sorted(int(r["s"]) for r in ev) == ids
    assert len(world.tags()) == 8
    for r in rows:
        d = await decisions(world, r["id"])
        assert all(x[0] == "take" for x in d.values()), d
    store = await world.repos.store("netdev")
    assert not await store.refs("refs/netci/tmp/")
    assert await world.owner.fetchval("select count(*) from floor.work where state='dead'") == 0
