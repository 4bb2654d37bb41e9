"""Every statement of the room stands on the migrated schema, within the rights of the room."""

from services.branch.store import SQL
from tests.conftest import Database

# Run by the command line, as the owner.
_PEOPLE = {"give_order", "take_back_order", "request_cut", "requested_cut", "list_series"}


async def test_every_statement_can_be_prepared(database: Database) -> None:
    pool = await database.pool("branch")
    async with pool.acquire() as conn:
        for name in SQL:
            await conn.prepare(SQL[name])


async def test_the_room_has_the_rights_for_every_statement(database: Database) -> None:
    pool = await database.pool("branch")
    async with pool.acquire() as conn:
        for name in SQL.keys() - _PEOPLE:
            parameters = (await conn.prepare(SQL[name])).get_parameters()
            # Explaining checks rights as running does.
            await conn.fetch("explain " + SQL[name], *[None] * len(parameters))
