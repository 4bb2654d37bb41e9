"""schema.sql is the sum of the migrations: a database built from either has the same catalog."""

from shared.db.pool import connect
from shared.db.schema import FILE, tidy
from tests.conftest import Database

OURS = "('floor', 'ledger', 'ingest', 'branch', 'executor', 'report', 'public')"

CATALOG = {
    "relations": f"""
        select n.nspname, c.relname, c.relkind, pg_get_partkeydef(c.oid), pg_get_expr(c.relpartbound, c.oid)
        from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname in {OURS}""",
    "columns": f"""
        select n.nspname, c.relname, a.attnum, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
               a.attidentity, a.attgenerated, pg_get_expr(d.adbin, d.adrelid)
        from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
        left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
        where n.nspname in {OURS} and a.attnum > 0 and not a.attisdropped""",
    "constraints": f"""
        select n.nspname, conrelid::regclass::text, conname, pg_get_constraintdef(c.oid)
        from pg_constraint c join pg_namespace n on n.oid = c.connamespace where n.nspname in {OURS}""",
    "indexes": f"select schemaname, tablename, indexname, indexdef from pg_indexes where schemaname in {OURS}",
    "views": f"select schemaname, viewname, definition from pg_views where schemaname in {OURS}",
    "functions": f"""
        select n.nspname, pg_get_functiondef(p.oid)
        from pg_proc p join pg_namespace n on n.oid = p.pronamespace where n.nspname in {OURS}""",
    "sequences": f"select schemaname, sequencename, data_type, start_value, increment_by, cycle from pg_sequences "
    f"where schemaname in {OURS}",
    "grants": f"""
        select what, grantor::regrole::text, case grantee when 0 then 'public' else grantee::regrole::text end,
               privilege_type, is_grantable
        from (select n.nspname as what, acl from pg_namespace n, unnest(n.nspacl) acl where n.nspname in {OURS}
              union all
              select n.nspname || '.' || c.relname, acl from pg_class c join pg_namespace n on n.oid = c.relnamespace,
                     unnest(c.relacl) acl where n.nspname in {OURS}
              union all
              select n.nspname || '.' || p.proname, acl from pg_proc p join pg_namespace n on n.oid = p.pronamespace,
                     unnest(p.proacl) acl where n.nspname in {OURS}
              union all
              select c.relname || '.' || a.attname, acl from pg_attribute a join pg_class c on c.oid = a.attrelid,
                     unnest(a.attacl) acl) held,
             lateral aclexplode(array[acl])""",
}


async def catalog(dsn: str) -> dict[str, list[str]]:
    """What is in the database, by kind, each thing a line."""
    conn = await connect(dsn)
    try:
        return {kind: sorted(str(tuple(row)) for row in await conn.fetch(sql)) for kind, sql in CATALOG.items()}
    finally:
        await conn.close()


async def test_schema_and_migrations_make_the_same(database: Database) -> None:
    owner = await connect(database.dsn)
    name = f"schema_{await owner.fetchval('select pg_backend_pid()')}"
    await owner.execute(f"create database {name}")
    try:
        base, _, query = database.dsn.partition("?")
        dsn = f"{base.rpartition('/')[0]}/{name}?{query}"
        conn = await connect(dsn)
        await conn.execute(FILE.read_text("utf-8"))
        await conn.close()
        made, migrated = await catalog(dsn), await catalog(database.dsn)
    finally:
        await owner.execute(f"drop database {name} with (force)")
        await owner.close()
    stale = "shared/db/schema.sql is stale: run python -m shared.db.schema"
    for kind in CATALOG:
        assert migrated[kind], kind
        assert made[kind] == migrated[kind], f"{kind}: {stale}"


def test_a_dump_is_tidied_outside_of_functions_only() -> None:
    function = "create function f() as $$\nbegin\n\n-- why\nSET z;\nend $$;\n\n"
    dump = "--\n-- Name: f\n--\n\nSET x = y;\n" + function + "\n\ncreate table t;\n"
    assert tidy(dump) == function + "create table t;\n"
