"""The clock over a question: it ends what does not end, and stands still while others are waited for."""

import asyncio

import pytest

from services.executor.checking.watch import Endless, Watch

SHORT = 0.3


async def test_what_does_not_end_is_left() -> None:
    with pytest.raises(Endless, match="did not come to an end within"):
        async with Watch(0, more=SHORT):
            await asyncio.Event().wait()


async def test_waiting_for_others_is_not_counted() -> None:
    watch = Watch(0, more=SHORT)
    async with watch:
        with watch.paused():
            with watch.paused():
                await asyncio.sleep(2 * SHORT)
            await asyncio.sleep(SHORT)
    with pytest.raises(Endless):
        async with Watch(0, more=SHORT):
            await asyncio.Event().wait()


async def test_a_check_that_runs_out_of_a_time_of_its_own_is_another_matter() -> None:
    with pytest.raises(TimeoutError):
        async with Watch(60):
            await asyncio.wait_for(asyncio.Event().wait(), 0.01)


async def test_where_nobody_watches_it_can_be_paused_all_the_same() -> None:
    with Watch(60).paused():
        pass
