"""Which tests are known to be bad, as report has counted them."""

from services.executor.store import known_bad
from tests.conftest import Database


async def test_what_has_failed_five_times_in_a_row_and_was_never_healed(database: Database) -> None:
    owner, executor = await database.pool(), await database.pool("executor")
    names = {
        name: await owner.fetchval("insert into ledger.names (name) values ($1) returning id", name)
        for name in ("group", "bad", "worse", "new", "point")
    }
    names[""] = await owner.fetchval("select id from ledger.names where name = ''") or await owner.fetchval(
        "insert into ledger.names (name) values ('') returning id"
    )
    for executor_name, test, subtest, broken in (
        ("vm", "bad", "", 5), ("vm", "worse", "point", 90), ("vm", "new", "", 4), ("other", "new", "", 9),
    ):  # fmt: skip
        await owner.execute(
            "insert into report.stability (remote, executor, grp, test, subtest, broken_cur) "
            "values ('lab', $1, $2, $3, $4, $5)",
            executor_name, names["group"], names[test], names[subtest], broken,
        )  # fmt: skip
    assert await known_bad(executor, "lab", "vm") == {("group", "bad", ""), ("group", "worse", "point")}
    assert await known_bad(executor, "lab", "none") == frozenset()
